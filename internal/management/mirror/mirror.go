// Package mirror is a client of the management API whose reads of some kinds
// come from the process's own cache and are as good as reads of the API itself
// for everything that this process wrote: a write is laid over the cache until
// the cache has it. It is right where one process writes what callers are told
// of. Where several do, a read has to reach the API, and there is no mirror.
//
// What controllers of the same process write is seen as soon as they see it
// themselves, since they read the same cache.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Informers are the caches that are mirrored, e.g. a manager's.
type Informers interface {
	client.Reader
	// GetInformer finds or starts the informer of a kind.
	GetInformer(ctx context.Context, object client.Object, options ...cache.InformerGetOption) (cache.Informer, error)
}

// Client is the client. Reads of what is not mirrored, and all writes, go to
// the management API. Writes of status and DeleteAllOf are not laid over the
// cache: they are not what a caller is told of.
type Client struct {
	client.Client
	informers Informers
	kinds     map[schema.GroupVersionKind]*overlay
}

// New makes a client that mirrors the kinds of some objects, all of them
// without a namespace. live reads and writes the API itself. It does not wait
// until the caches are filled: the first reads do.
func New(ctx context.Context, live client.Client, informers Informers, kinds ...client.Object) (*Client, error) {
	c := &Client{Client: live, informers: informers, kinds: map[schema.GroupVersionKind]*overlay{}}
	for _, kind := range kinds {
		gvk, err := apiutil.GVKForObject(kind, live.Scheme())
		if err != nil {
			return nil, fmt.Errorf("mirroring the management API: %w", err)
		}
		informer, err := informers.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("mirroring %s: %w", gvk.Kind, err)
		}
		o := newOverlay()
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    o.seen,
			UpdateFunc: func(_, object any) { o.seen(object) },
			DeleteFunc: o.gone,
		}); err != nil {
			return nil, fmt.Errorf("watching %s: %w", gvk.Kind, err)
		}
		c.kinds[gvk] = o
	}
	return c, nil
}

// overlayOf is the overlay of an object's or a list's kind, nil if that is not mirrored.
func (c *Client) overlayOf(object runtime.Object) *overlay {
	gvk, err := apiutil.GVKForObject(object, c.Scheme())
	if err != nil {
		return nil // the live client says what is wrong
	}
	if _, list := object.(client.ObjectList); list && len(gvk.Kind) > len("List") {
		gvk.Kind = gvk.Kind[:len(gvk.Kind)-len("List")]
	}
	return c.kinds[gvk]
}

// Get reads an object.
func (c *Client) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	o := c.overlayOf(object)
	if o == nil {
		return c.Client.Get(ctx, key, object, options...)
	}
	e, written := o.peek(key.Name)
	if !written {
		err := c.informers.Get(ctx, key, object, options...)
		if notStarted(err) {
			return c.Client.Get(ctx, key, object, options...)
		}
		return err
	}
	return c.resolve(ctx, o, e, object)
}

// resolve reads an object that was written a moment ago.
func (c *Client) resolve(ctx context.Context, o *overlay, e entry, object client.Object) error {
	name := e.object.GetName()
	cached := object
	err := c.informers.Get(ctx, client.ObjectKey{Name: name}, object)
	switch {
	case apierrors.IsNotFound(err):
		cached = nil
	case notStarted(err):
		return c.Client.Get(ctx, client.ObjectKey{Name: name}, object)
	case err != nil:
		return err
	}
	switch o.judge(e, cached) {
	case theCache:
		o.forget(name, e)
		return err
	case theWrite:
		return assign(e.object, object)
	case nothing:
		return apierrors.NewNotFound(schema.GroupResource{Resource: reflect.TypeOf(object).Elem().Name()}, name)
	}
	return c.refresh(ctx, o, e.object, object)
}

// refresh reads from the API what has become of an object.
func (c *Client) refresh(ctx context.Context, o *overlay, known, object client.Object) error {
	err := c.Client.Get(ctx, client.ObjectKeyFromObject(known), object)
	switch {
	case apierrors.IsNotFound(err):
		o.deleted(known)
	case err == nil:
		o.wrote(object)
	}
	return err
}

// List reads the objects of a kind.
func (c *Client) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	o := c.overlayOf(list)
	if o == nil {
		return c.Client.List(ctx, list, options...)
	}
	written := o.all()
	if err := c.informers.List(ctx, list, options...); notStarted(err) {
		return c.Client.List(ctx, list, options...)
	} else if err != nil || len(written) == 0 {
		return err
	}
	var applied client.ListOptions
	applied.ApplyOptions(options)
	selector := applied.LabelSelector
	if selector == nil {
		selector = labels.Everything()
	}
	return c.lay(ctx, o, list, written, selector)
}

// lay replaces, adds and removes what was written and the cache may not have.
func (c *Client) lay(ctx context.Context, o *overlay, list client.ObjectList, written map[string]entry, selector labels.Selector) error {
	items, err := apimeta.ExtractList(list)
	if err != nil {
		return fmt.Errorf("reading a mirrored list: %w", err)
	}
	var merged []runtime.Object
	for _, item := range items {
		if _, ours := written[item.(client.Object).GetName()]; !ours {
			merged = append(merged, item)
		}
	}
	for _, e := range written {
		object := reflect.New(reflect.TypeOf(e.object).Elem()).Interface().(client.Object)
		err := c.resolve(ctx, o, e, object)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if err == nil && selector.Matches(labels.Set(object.GetLabels())) {
			merged = append(merged, object)
		}
	}
	return apimeta.SetList(list, merged)
}

// Create creates an object.
func (c *Client) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return c.written(object, c.Client.Create(ctx, object, options...))
}

// Update writes an object.
func (c *Client) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	return c.written(object, c.Client.Update(ctx, object, options...))
}

// Patch changes an object.
func (c *Client) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	return c.written(object, c.Client.Patch(ctx, object, patch, options...))
}

func (c *Client) written(object client.Object, err error) error {
	if o := c.overlayOf(object); err == nil && o != nil {
		o.wrote(object)
	}
	return err
}

// Delete deletes an object, or marks it where finalizers hold it: which of the
// two it was is read back.
func (c *Client) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	err := c.Client.Delete(ctx, object, options...)
	o := c.overlayOf(object)
	if o == nil || err != nil {
		return err
	}
	now := object.DeepCopyObject().(client.Object)
	switch err := c.refresh(context.WithoutCancel(ctx), o, object, now); {
	case apierrors.IsNotFound(err):
	case err != nil:
		o.doubt(object) // what became of it is asked again by whoever reads it
	}
	return nil
}

func notStarted(err error) bool {
	var not *cache.ErrCacheNotStarted
	return errors.As(err, &not)
}

// assign copies what was written into a caller's object.
func assign(from, to client.Object) error {
	source, target := reflect.ValueOf(from.DeepCopyObject()), reflect.ValueOf(to)
	if source.Type() != target.Type() {
		return fmt.Errorf("reading a mirrored %s into a %s", source.Type(), target.Type())
	}
	target.Elem().Set(source.Elem())
	return nil
}
