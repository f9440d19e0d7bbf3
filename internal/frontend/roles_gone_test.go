package frontend_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/identity"
)

func TestNothingIsGrantedOnAPoolThatIsNotThere(t *testing.T) {
	r := made(t)
	for i, c := range []struct {
		path   string
		status int
	}{
		{"/agentPools/nodepool1", http.StatusCreated}, {"/agentPools/Other", http.StatusNotFound},
		{"/namespaces/default", http.StatusCreated}, {"/secrets/one", http.StatusNotFound},
	} {
		name := assignmentName[:35] + strconv.Itoa(i+1)
		if a := r.assign(clusterPath+c.path, name, readerObject, identity.RoleReader); a.status != c.status {
			t.Errorf("granting on %s: %d %s, want %d", c.path, a.status, a.raw, c.status)
		}
	}
}

// vanishing is a store in which the group goes just before an assignment on it is made.
func vanishing(group string) func(*frontend.Config) {
	return func(c *frontend.Config) {
		c.Client = interceptor.NewClient(c.Client.(client.WithWatch), interceptor.Funcs{
			Create: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if _, ok := o.(*authorizationv1alpha1.RoleAssignment); ok {
					var groups resourcesv1alpha1.ResourceGroupList
					if err := w.List(ctx, &groups); err != nil {
						return err
					}
					for i := range groups.Items {
						if groups.Items[i].Spec.Name == group {
							groups.Items[i].Finalizers = nil
							if err := w.Update(ctx, &groups.Items[i]); err != nil {
								return err
							}
							if err := w.Delete(ctx, &groups.Items[i]); err != nil {
								return err
							}
						}
					}
				}
				return w.Create(ctx, o, opts...)
			},
		})
	}
}

func TestARoleGrantedOnAGroupThatGoesAtTheSameTimeIsTakenBack(t *testing.T) {
	r := newRig(t, vanishing("rg"))
	r.group()
	check(t, r.assign(groupPath, assignmentName, readerObject, identity.RoleOwner), want{404, "ResourceGroupNotFound", "", ""})
	var list authorizationv1alpha1.RoleAssignmentList
	if err := r.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for _, a := range list.Items {
		if a.Name == assignmentName {
			t.Error("the assignment outlives what it was given on")
		}
	}
}
