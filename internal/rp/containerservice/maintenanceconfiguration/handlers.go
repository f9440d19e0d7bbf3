// Package maintenanceconfiguration answers the routes of a managed cluster's
// maintenance configurations: it keeps them as objects beside the cluster. What
// they allow package maintenance says, and who acts on it is a controller's business.
package maintenanceconfiguration

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/beside"
	"berth.dev/berth/internal/rp/resources"
)

// Type is the resource type below managedClusters.
const Type = "maintenanceConfigurations"

// most is how many configurations a cluster may have. Three names mean something.
const most = 20

// validName is that of the API's resources.
const validName = `^[a-zA-Z0-9]([-_a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$`

// Handlers answer the routes.
type Handlers struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// Cluster finds the cluster of a request's path.
	Cluster func(r *arm.Request) (*v1alpha1.ManagedCluster, error)
	// ID is a cluster's id, and Wire the casing that ids are answered in.
	ID   func(cluster *v1alpha1.ManagedCluster) arm.ResourceID
	Wire func(id arm.ResourceID) string
	// Now is the clock.
	Now func() time.Time
}

// List lists the configurations of a cluster.
func (h *Handlers) List(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := h.Cluster(r)
	if err != nil {
		return err
	}
	there, err := h.all(r.Context(), cluster)
	if err != nil {
		return err
	}
	page, err := arm.Page(r, there, func(m v1alpha1.MaintenanceConfiguration) string { return m.Spec.Name })
	if err != nil {
		return err
	}
	bodies := make([]map[string]any, 0, len(page.Value))
	for i := range page.Value {
		bodies = append(bodies, h.body(cluster, &page.Value[i]))
	}
	return arm.WriteJSON(w, http.StatusOK, arm.List[map[string]any]{Value: bodies, NextLink: page.NextLink})
}

// Get answers one configuration.
func (h *Handlers) Get(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := h.Cluster(r)
	if err != nil {
		return err
	}
	id := h.id(cluster, r)
	there, err := h.find(r.Context(), cluster, id)
	if err != nil {
		return err
	}
	if there == nil || !there.Of(cluster) {
		return arm.ResourceNotFound(id)
	}
	return arm.WriteJSON(w, http.StatusOK, h.body(cluster, there))
}

// Put makes or replaces a configuration. It needs no operation: it acts by
// being there.
func (h *Handlers) Put(w http.ResponseWriter, r *arm.Request) error {
	return resources.RetryConflicts(func() error {
		cluster, err := h.Cluster(r)
		if err != nil {
			return err
		}
		if cluster.DeletionTimestamp != nil {
			return deleting(cluster)
		}
		there, err := h.find(r.Context(), cluster, h.id(cluster, r))
		if err != nil {
			return err
		}
		spec, err := h.read(r, there, cluster)
		if err != nil {
			return err
		}
		if there != nil {
			status := http.StatusOK
			if !there.Of(cluster) { // what a former cluster of the name left behind
				status = http.StatusCreated
			}
			there.Spec = spec
			if err := h.Client.Update(r.Context(), there); err != nil {
				return err
			}
			return arm.WriteJSON(w, status, h.body(cluster, there))
		}
		return h.create(w, r, cluster, spec)
	})
}

// create makes a configuration.
func (h *Handlers) create(w http.ResponseWriter, r *arm.Request, cluster *v1alpha1.ManagedCluster, spec v1alpha1.MaintenanceConfigurationSpec) error {
	others, err := h.all(r.Context(), cluster)
	if err != nil {
		return err
	}
	if len(others) >= most {
		return arm.NewError(http.StatusConflict, "QuotaExceeded",
			"The managed cluster '%s' has %d maintenance configurations, and may have no more. Delete some, or change one.", cluster.Spec.Name, len(others))
	}
	fresh := &v1alpha1.MaintenanceConfiguration{
		ObjectMeta: metav1.ObjectMeta{
			Name: naming.Object(h.id(cluster, r).String()), Labels: map[string]string{v1alpha1.MaintenanceClusterLabel: cluster.Name},
		},
		Spec: spec,
	}
	if err := h.Client.Create(r.Context(), fresh); err != nil {
		return err
	}
	err = beside.Withdraw(r.Context(), h.Client, fresh, cluster, func() (*v1alpha1.ManagedCluster, error) { return h.Cluster(r) })
	if errors.Is(err, beside.ErrDeleting) {
		return deleting(cluster)
	}
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusCreated, h.body(cluster, fresh))
}

// Delete deletes a configuration.
func (h *Handlers) Delete(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := h.Cluster(r)
	if err != nil {
		return err
	}
	there, err := h.find(r.Context(), cluster, h.id(cluster, r))
	if err != nil {
		return err
	}
	if there == nil || !there.Of(cluster) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := h.Client.Delete(r.Context(), there); client.IgnoreNotFound(err) != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func deleting(cluster *v1alpha1.ManagedCluster) error {
	return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"Operation is not allowed: the managed cluster '%s' is being deleted, and its maintenance configurations with it.", cluster.Spec.Name)
}

func (h *Handlers) id(cluster *v1alpha1.ManagedCluster, r *arm.Request) arm.ResourceID {
	return h.ID(cluster).Child(Type, r.Param("configName"))
}

// find reads an object, nil if there is none. It may be of a former cluster.
func (h *Handlers) find(ctx context.Context, cluster *v1alpha1.ManagedCluster, id arm.ResourceID) (*v1alpha1.MaintenanceConfiguration, error) {
	there := &v1alpha1.MaintenanceConfiguration{}
	err := h.Client.Get(ctx, client.ObjectKey{Name: naming.Object(id.String())}, there)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if there.Spec.ClusterName != cluster.Name {
		return nil, apierrors.NewInternalError(errors.New("the object of a maintenance configuration belongs to another cluster"))
	}
	return there, nil
}

// all are the configurations of a cluster.
func (h *Handlers) all(ctx context.Context, cluster *v1alpha1.ManagedCluster) ([]v1alpha1.MaintenanceConfiguration, error) {
	var list v1alpha1.MaintenanceConfigurationList
	if err := h.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.MaintenanceClusterLabel: cluster.Name}); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(m v1alpha1.MaintenanceConfiguration) bool { return !m.Of(cluster) }), nil
}

// checkName refuses names that are none, and spells those that mean something
// as they are spelled everywhere.
func checkName(name string, fields *arm.FieldErrors) string {
	if !regexp.MustCompile(validName).MatchString(name) {
		fields.Invalid("configName", "The name '%.70s' is invalid: a maintenance configuration's name has 1 to 63 letters, digits, dashes and underscores, and begins and ends with a letter or digit.", name)
	}
	for _, known := range []string{v1alpha1.MaintenanceDefault, v1alpha1.MaintenanceAutoUpgrade, v1alpha1.MaintenanceNodeOS} {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return name
}
