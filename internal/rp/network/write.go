package network

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/join"
	"berth.dev/berth/internal/rp/operation"
	"berth.dev/berth/internal/rp/resources"
)

// put makes a resource, or replaces what it is.
func (p *Provider) put(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		return resources.RetryConflicts(func() error {
			d, err := p.newDraft(r, k.table)
			if err != nil {
				return err
			}
			if _, err := resources.WritableGroup(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
				return err
			}
			if err := d.begin(k); err != nil {
				return err
			}
			if err := d.readCommon(k); err != nil {
				return err
			}
			if err := k.read(d); err != nil {
				return err
			}
			return d.store(w, k)
		})
	}
}

// begin finds the resource of the path, or plans a new one.
func (d *draft) begin(k *kind) error {
	id := requestID(d.r, k)
	old, err := d.p.find(d.r.Context(), k, id)
	if err != nil {
		return err
	}
	tag := ""
	if old != nil {
		if tag, err = etag(old); err != nil {
			return err
		}
	}
	if err := d.r.CheckETag(old != nil, tag); err != nil {
		return err
	}
	if old != nil {
		d.old, d.next = old, old.DeepCopyObject().(networkv1.Object) //nolint:errcheck,forcetypeassert // a copy has the type of what it is of
		return d.p.changeable(d.r, old)
	}
	d.checkName(id.Name(), k.pattern, k.form)
	d.next = k.empty()
	d.next.SetName(naming.Object(id.String()))
	d.next.SetFinalizers([]string{networkv1.ResourceFinalizer})
	d.next.SetLabels(map[string]string{resources.SubscriptionLabel: id.SubscriptionID})
	*d.next.Common() = networkv1.Resource{ResourceID: id.String(), Location: d.p.Location, GUID: uuid.NewString()}
	return nil
}

// changeable refuses to change what is being deleted, or what a cluster made for itself.
func (p *Provider) changeable(r *arm.Request, o networkv1.Object) error {
	if o.GetDeletionTimestamp() != nil {
		return arm.NewError(http.StatusConflict, "AnotherOperationInProgress", "The resource '%s' is being deleted. Repeat the request once it is gone.", o.Common().ResourceID)
	}
	return resources.Unmanaged(r.Context(), p.Client, r, o.Common().ResourceID, owner(o))
}

// owner is the object's name of the cluster that made a resource for itself, "" of
// one that a caller made.
func owner(o networkv1.Object) string {
	if network, is := o.(*networkv1.VirtualNetwork); is && network.Spec.ClusterName != "" {
		return network.Spec.ClusterName
	}
	if o.Common().ManagedBy == "" {
		return ""
	}
	return naming.Object(o.Common().ManagedBy)
}

// store writes the draft and answers with it.
func (d *draft) store(w http.ResponseWriter, k *kind) error {
	if err := d.fields.Err(); err != nil {
		return err
	}
	status := http.StatusOK
	if d.old == nil {
		status = http.StatusCreated
		if err := d.p.Client.Create(d.r.Context(), d.next); err != nil {
			return err
		}
	} else if err := d.p.Client.Update(d.r.Context(), d.next); err != nil {
		return err
	}
	if d.child == "" {
		return d.p.answer(w, d.r, k, d.next, status)
	}
	if d.old != nil && k.child.index(d.old, d.child) < 0 {
		status = http.StatusCreated
	}
	return d.p.answerChild(w, d.r, k, d.next, status)
}

func (p *Provider) answerChild(w http.ResponseWriter, r *arm.Request, k *kind, o networkv1.Object, status int) error {
	body, err := p.snapshot(r.Context()).body(k, o)
	if err != nil {
		return err
	}
	children, _ := body["properties"].(object)[k.child.name].([]object)
	at := k.child.index(o, r.Param("childName"))
	return writeBody(w, children[at], status)
}

// patch replaces the tags.
func (p *Provider) patch(k *kind) arm.Handler {
	table := []arm.Property{{Path: "tags", Kind: arm.Map}, {Path: "tags{}", Kind: arm.String}}
	return func(w http.ResponseWriter, r *arm.Request) error {
		return resources.RetryConflicts(func() error {
			d, err := p.newDraft(r, table)
			if err != nil {
				return err
			}
			if d.old, err = p.existing(r, k); err != nil {
				return err
			}
			tag, err := etag(d.old)
			if err != nil {
				return err
			}
			if err := r.CheckETag(true, tag); err != nil {
				return err
			}
			if err := p.changeable(r, d.old); err != nil {
				return err
			}
			d.next = d.old.DeepCopyObject().(networkv1.Object) //nolint:errcheck,forcetypeassert // a copy has the type of what it is of
			before := d.next.Common().Tags
			if err := d.readCommon(k); err != nil {
				return err
			}
			if !d.content.Has("tags") {
				d.next.Common().Tags = before
			}
			return d.store(w, k)
		})
	}
}

// delete starts the deletion of a resource that nobody uses.
func (p *Provider) delete(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		var o networkv1.Object
		err := resources.RetryConflicts(func() (err error) {
			o, err = p.unused(r, k)
			return err
		})
		if err != nil {
			return err
		}
		if o == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		id, err := p.Operations.Delete(r.Context(), r, o.Common().ResourceID, resourcesv1alpha1.Target{Kind: k.hub, Name: o.GetName(), UID: string(o.GetUID())}, o)
		if err != nil {
			return err
		}
		at := "/subscriptions/" + r.Param("subscriptionID") + provider + "locations/" + p.Location + "/"
		version := "?api-version=" + r.APIVersion
		arm.Async{Operation: at + "operations/" + id + version, Result: at + "operationResults/" + id + version}.Set(w, r)
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
}

// unused is the resource of the path, if the caller may delete it and nobody uses
// it; nil if there is none. A network says from then on that it goes.
func (p *Provider) unused(r *arm.Request, k *kind) (networkv1.Object, error) {
	o, err := p.find(r.Context(), k, requestID(r, k))
	if err != nil || o == nil {
		return nil, err
	}
	tag, err := etag(o)
	if err != nil {
		return nil, err
	}
	if err := r.CheckETag(true, tag); err != nil {
		return nil, err
	}
	if err := resources.Unmanaged(r.Context(), p.Client, r, o.Common().ResourceID, owner(o)); err != nil {
		return nil, err
	}
	users, err := k.users(p.snapshot(r.Context()), o)
	if err != nil {
		return nil, err
	}
	if len(users) > 0 {
		return nil, inUse(k.inUse, o.Common().ResourceID, users)
	}
	if network, is := o.(*networkv1.VirtualNetwork); is && !join.Leaves(network, p.Now()) {
		join.Leave(network, p.Now())
		return o, p.Client.Update(r.Context(), o)
	}
	return o, nil
}

// inUse is the answer for what others need.
func inUse(code, id string, users []string) error {
	slices.Sort(users)
	users = slices.Compact(users)
	shown := users[:min(len(users), 5)]
	more := ""
	if len(users) > len(shown) {
		more = " and others"
	}
	return arm.NewError(http.StatusBadRequest, code, "%s cannot be deleted because it is in use by %s%s. Delete those, or have them use something else, first.",
		id, strings.Join(shown, ", "), more)
}

// putChild makes or replaces what is nested in a resource.
func (p *Provider) putChild(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		return resources.RetryConflicts(func() error {
			d, err := p.newDraft(r, k.child.table)
			if err != nil {
				return err
			}
			if d.old, err = p.parent(r, k); err != nil {
				return err
			}
			d.next = d.old.DeepCopyObject().(networkv1.Object) //nolint:errcheck,forcetypeassert // a copy has the type of what it is of
			d.child = r.Param("childName")
			tag, err := etag(d.old)
			if err != nil {
				return err
			}
			if err := r.CheckETag(k.child.index(d.old, d.child) >= 0, tag); err != nil {
				return err
			}
			if k.child.index(d.old, d.child) < 0 {
				d.checkName(d.child, k.child.pattern, k.child.form)
			}
			if err := k.child.read(d); err != nil {
				return err
			}
			return d.store(w, k)
		})
	}
}

// parent reads the resource of the path to write what is nested in it.
func (p *Provider) parent(r *arm.Request, k *kind) (networkv1.Object, error) {
	if _, err := resources.WritableGroup(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
		return nil, err
	}
	o, err := p.existing(r, k)
	if err != nil {
		return nil, err
	}
	return o, p.changeable(r, o)
}

// deleteChild takes away what is nested in a resource, if nobody uses it.
func (p *Provider) deleteChild(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		return resources.RetryConflicts(func() error {
			o, err := p.find(r.Context(), k, requestID(r, k))
			if err != nil {
				return err
			}
			at := -1
			if o != nil {
				at = k.child.index(o, r.Param("childName"))
			}
			if at < 0 {
				w.WriteHeader(http.StatusNoContent)
				return nil
			}
			tag, err := etag(o)
			if err != nil {
				return err
			}
			if err := r.CheckETag(true, tag); err != nil {
				return err
			}
			if err := p.changeable(r, o); err != nil {
				return err
			}
			if err := childUnused(p.snapshot(r.Context()), k, o, at); err != nil {
				return err
			}
			k.child.drop(o, at)
			if err := p.Client.Update(r.Context(), o); err != nil {
				return err
			}
			w.WriteHeader(http.StatusOK)
			return nil
		})
	}
}

func childUnused(s *snapshot, k *kind, o networkv1.Object, at int) error {
	if k.child.users == nil {
		return nil
	}
	users, err := k.child.users(s, o, at)
	if err != nil || len(users) == 0 {
		return err
	}
	children := o.Common().ResourceID + "/" + k.child.name + "/"
	if network, is := o.(*networkv1.VirtualNetwork); is {
		children += network.Spec.Current().Subnets[at].Name
	}
	return inUse(k.child.inUse, children, users)
}

// operationStatus and operationResult answer polls of deletions.
func (p *Provider) operationStatus(w http.ResponseWriter, r *arm.Request) error {
	return p.poll(r, func(o operation.Operation) error { return operation.WriteStatus(w, r, o) })
}

func (p *Provider) operationResult(w http.ResponseWriter, r *arm.Request) error {
	return p.poll(r, func(o operation.Operation) error { return operation.WriteResult(w, r, o, http.StatusNoContent) })
}

func (p *Provider) poll(r *arm.Request, answer func(operation.Operation) error) error {
	found, err := p.Operations.Find(r.Context(), r.Param("operationID"))
	if err != nil {
		return err
	}
	if err := resources.CheckOperation(r, p.Tokens, found); err != nil {
		return err
	}
	return answer(found)
}
