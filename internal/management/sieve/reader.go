package sieve

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Cache is a cache that tells a damaged object from one that does not exist. Its
// informers have to be the sieve's.
func (s *Sieve) Cache(filled cache.Cache) cache.Cache { return guarded{Cache: filled, sieve: s} }

type guarded struct {
	cache.Cache
	sieve *Sieve
}

// Get reads an object; a damaged one is a DamagedError unless the cache has
// what it was before.
func (g guarded) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := g.Cache.Get(ctx, key, object, options...)
	if !apierrors.IsNotFound(err) {
		return err
	}
	gvk, kindErr := g.sieve.kindOf(object)
	if kindErr != nil {
		return err
	}
	if damage := g.sieve.find(ctx, gvk, key); damage != nil {
		return damage
	}
	return err
}

// List reads what can be read of a kind. A damaged object is left out, and fails
// the list only if it is one that Mentioning is about.
func (g guarded) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := g.Cache.List(ctx, list, options...); err != nil {
		return err
	}
	gvk, err := g.sieve.kindOf(list)
	if err != nil {
		return nil
	}
	return concerning(g.sieve.known(gvk), options, false)
}

// Reader reads the API server itself. A list with damaged objects fails, unless
// Mentioning says that they do not matter.
func (s *Sieve) Reader(live client.Reader) client.Reader { return reader{Reader: live, sieve: s} }

type reader struct {
	client.Reader
	sieve *Sieve
}

// Get reads an object, and names one that is damaged.
func (r reader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, object, options...)
	if !undecodable(err) {
		return err
	}
	gvk, kindErr := r.sieve.kindOf(object)
	if kindErr != nil {
		return err
	}
	return &DamagedError{Kind: gvk.Kind, Name: key.Name, Reason: err.Error()}
}

// List reads the objects of a kind.
func (r reader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	err := r.Reader.List(ctx, list, options...)
	if !undecodable(err) {
		return err
	}
	gvk, kindErr := r.sieve.kindOf(list)
	if kindErr != nil {
		return errors.Join(err, kindErr)
	}
	var applied client.ListOptions
	applied.ApplyOptions(options)
	raw, whole, broken, err := r.sieve.read(ctx, gvk, applied.Namespace, applied.AsListOptions())
	if err != nil {
		return err
	}
	if err := concerning(broken, options, true); err != nil {
		return err
	}
	if err := apimeta.SetList(list, whole); err != nil {
		return fmt.Errorf("reading %ss without the damaged ones: %w", gvk.Kind, err)
	}
	list.SetResourceVersion(raw.ResourceVersion)
	list.SetContinue(raw.Continue)
	return nil
}
