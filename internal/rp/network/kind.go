package network

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
)

type object = map[string]any

// kind is what tells one type of tracked resources from the others.
type kind struct {
	// name is the type on the wire, hub the kind of its objects.
	name, hub string
	// pattern is what names have to match, form the same in words.
	pattern, form string
	// table are the properties.
	table []arm.Property
	// empty is a new object; the type of its list is known to snapshot.
	empty func() networkv1.Object
	// read puts what a body asks for into the draft's next object and checks it.
	read func(d *draft) error
	// properties are the object's on the wire.
	properties func(s *snapshot, o networkv1.Object) (object, error)
	// around adds what stands beside the properties, nil for nothing.
	around func(o networkv1.Object, body object)
	// users are who keeps it from being deleted, as ids, and inUse the error's code.
	users func(s *snapshot, o networkv1.Object) ([]string, error)
	inUse string
	// child is what is nested in it, nil for nothing.
	child *child
	// defaults are the rules that are there by themselves, nil without any.
	defaults func(id string) []object
	// selects says whether an object of the hub's kind is of this type, nil for all.
	selects func(o networkv1.Object) bool
}

// child is what tells one type of nested resources from the others. They lie
// in the object of what they are nested in.
type child struct {
	name string
	// pattern and form are as those of a kind.
	pattern, form string
	table         []arm.Property
	// read puts what a body asks for into the draft's next object, as the child
	// of the draft's name, and checks the whole.
	read func(d *draft) error
	// index is the place of the child of a name, -1 if there is none.
	index func(o networkv1.Object, name string) int
	// drop takes away the child of a place.
	drop func(o networkv1.Object, at int)
	// users are who keeps it from being taken away, nil if nobody ever does.
	users func(s *snapshot, o networkv1.Object, at int) ([]string, error)
	inUse string
}

// kinds are all types of tracked resources.
func kinds() []*kind {
	return []*kind{virtualNetworks(), securityGroups(), routeTables(), publicAddresses(), publicPrefixes()}
}

// resourceName is what most names have to match.
const (
	resourceName     = `^[A-Za-z0-9]([-A-Za-z0-9_.]{0,78}[A-Za-z0-9_])?$`
	resourceNameForm = "1 to 80 letters, digits and the characters . _ -, begins with a letter or digit and does not end with . or -"
)

// find reads a resource, nil if there is none. One that is being deleted is
// found, with the time of its deletion.
func find(ctx context.Context, c client.Client, k *kind, id arm.ResourceID) (networkv1.Object, error) {
	o := k.empty()
	err := c.Get(ctx, client.ObjectKey{Name: naming.Object(id.String())}, o)
	if apierrors.IsNotFound(err) || err == nil && k.selects != nil && !k.selects(o) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}
