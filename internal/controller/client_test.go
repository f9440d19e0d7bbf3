package controller_test

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	hostv1 "berth.dev/berth/api/host/v1alpha1"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counted counts the writes through a client and fails them once the budget is
// used up: what was written stays, nothing more is written.
func (w *world) counted(c client.WithWatch) client.WithWatch {
	pay := func(write func() error) error {
		w.paying.Lock()
		defer w.paying.Unlock()
		if w.budget == 0 {
			return errKilled
		}
		if w.budget > 0 {
			w.budget--
		}
		err := write()
		if err == nil {
			w.writes++
		}
		return err
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return pay(func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return pay(func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return pay(func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return pay(func() error { return c.Delete(ctx, o, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return pay(func() error { return c.Apply(ctx, o, opts...) })
		},
		SubResourceCreate: func(ctx context.Context, c client.Client, sub string, o, s client.Object, opts ...client.SubResourceCreateOption) error {
			return pay(func() error { return c.SubResource(sub).Create(ctx, o, s, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			return pay(func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return pay(func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
	})
}

// generations makes a fake client count metadata.generation as an API server
// does: with every change of the spec, and with the deletion.
func generations(c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			o.SetGeneration(1)
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			before := o.DeepCopyObject().(client.Object)
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), before); err != nil {
				return err
			}
			o.SetGeneration(before.GetGeneration())
			if !equality.Semantic.DeepEqual(spec(before), spec(o)) {
				o.SetGeneration(before.GetGeneration() + 1)
			}
			return c.Update(ctx, o, opts...)
		},
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			panic("the fake counts no generations for patches of a spec: use Update")
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := c.Delete(ctx, o, opts...); err != nil {
				return err
			}
			after := o.DeepCopyObject().(client.Object)
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), after); err != nil {
				return client.IgnoreNotFound(err)
			}
			after.SetGeneration(after.GetGeneration() + 1)
			return c.Update(ctx, after)
		},
	})
}

// applied makes a fake client that tracks no owners of fields create what is applied.
func applied(c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
			fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
			if err != nil {
				return err
			}
			return client.IgnoreAlreadyExists(c.Create(ctx, &unstructured.Unstructured{Object: fields}))
		},
	})
}

// spec is an object's spec as plain data.
func spec(o client.Object) any {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		panic(err)
	}
	return fields["spec"]
}

// names lists what there is of a kind, under Berth's management API.
func (w *world) names(kind client.ObjectList) []string {
	w.t.Helper()
	list := kind.DeepCopyObject().(client.ObjectList)
	must(w.t, w.api.List(context.Background(), list))
	var names []string
	must(w.t, meta.EachListItem(list, func(o runtime.Object) error {
		names = append(names, o.(client.Object).GetName())
		return nil
	}))
	return names
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	must(w.t, w.api.Create(context.Background(), o))
}

// exists reads an object, by its name, and says whether it is there.
func (w *world) exists(o client.Object) bool {
	w.t.Helper()
	err := w.api.Get(context.Background(), client.ObjectKeyFromObject(o), o)
	must(w.t, client.IgnoreNotFound(err))
	return err == nil
}

// shrinkPublicRange gives the host another pool of public addresses.
func (w *world) shrinkPublicRange(public string) {
	w.t.Helper()
	host := &hostv1.Host{}
	host.Name = "local"
	if !w.exists(host) {
		w.t.Fatal("the host is gone")
	}
	host.Spec.PublicRange = public
	must(w.t, w.api.Update(context.Background(), host))
}

// fails calls the cluster's controller and expects an error that says something.
func (w *world) fails(text string) {
	w.t.Helper()
	for _, name := range w.names(w.loops[0].kind) {
		_, err := w.loops[0].reconcile(context.Background(), reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
		if err == nil || !strings.Contains(err.Error(), text) {
			w.t.Fatalf("got %v, want an error with %q", err, text)
		}
	}
}
