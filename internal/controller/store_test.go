package controller_test

import (
	"context"
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// store holds objects as JSON leaves them, which is what a client of an API
// server sees. The fake client turns whatever it reads into JSON and back, which
// was more than half of what these stories cost; here each write does it once
// and reads only copy.
type store struct {
	clienttesting.ObjectTracker
	scheme *runtime.Scheme
}

func newStore(scheme *runtime.Scheme) *store {
	return &store{clienttesting.NewObjectTracker(scheme, serializer.NewCodecFactory(scheme).UniversalDecoder()), scheme}
}

func (s *store) Create(kind schema.GroupVersionResource, o runtime.Object, namespace string, opts ...metav1.CreateOptions) error {
	o, err := throughJSON(o)
	if err != nil {
		return err
	}
	return s.ObjectTracker.Create(kind, o, namespace, opts...)
}

func (s *store) Update(kind schema.GroupVersionResource, o runtime.Object, namespace string, opts ...metav1.UpdateOptions) error {
	o, err := throughJSON(o)
	if err != nil {
		return err
	}
	return s.ObjectTracker.Update(kind, o, namespace, opts...)
}

func (s *store) Patch(kind schema.GroupVersionResource, o runtime.Object, namespace string, opts ...metav1.PatchOptions) error {
	o, err := throughJSON(o)
	if err != nil {
		return err
	}
	return s.ObjectTracker.Patch(kind, o, namespace, opts...)
}

func throughJSON(o runtime.Object) (runtime.Object, error) {
	content, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	again := reflect.New(reflect.TypeOf(o).Elem()).Interface().(runtime.Object)
	return again, json.Unmarshal(content, again)
}

// read makes a client read from the store what has a type of its own. What is
// asked for by fields stays with the client, which has the indexes.
func (s *store) read(c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			gvk, err := apiutil.GVKForObject(o, s.scheme)
			if err != nil {
				return err
			}
			resource, _ := meta.UnsafeGuessKindToResource(gvk)
			found, err := s.ObjectTracker.Get(resource, key.Namespace, key.Name)
			if err != nil {
				return err
			}
			if !assign(o, found) {
				return c.Get(ctx, key, o, opts...)
			}
			o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
			return nil
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			options := (&client.ListOptions{}).ApplyOptions(opts)
			gvk, err := apiutil.GVKForObject(list, s.scheme)
			if err != nil {
				return err
			}
			gvk.Kind = gvk.Kind[:len(gvk.Kind)-len("List")]
			resource, _ := meta.UnsafeGuessKindToResource(gvk)
			found, err := s.ObjectTracker.List(resource, gvk, options.Namespace)
			if err != nil {
				return err
			}
			if options.FieldSelector != nil || !assign(list, found) {
				return c.List(ctx, list, opts...)
			}
			return choose(list, options.LabelSelector)
		},
	})
}

// assign hands an object on to who asked for it, if it is of the same type.
func assign(to, from runtime.Object) bool {
	if reflect.TypeOf(to) != reflect.TypeOf(from) {
		return false
	}
	reflect.ValueOf(to).Elem().Set(reflect.ValueOf(from).Elem())
	return true
}

// choose keeps what has the labels, and takes its kind from each, as decoding does.
func choose(list client.ObjectList, selector labels.Selector) error {
	list.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	var chosen []runtime.Object
	err := meta.EachListItem(list, func(o runtime.Object) error {
		o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
		if selector == nil || selector.Matches(labels.Set(o.(client.Object).GetLabels())) {
			chosen = append(chosen, o)
		}
		return nil
	})
	if err != nil || selector == nil {
		return err
	}
	return meta.SetList(list, chosen)
}
