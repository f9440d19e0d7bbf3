package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ResourceFinalizer holds what a caller made over ARM until nothing refers to it
// and the roles that were given on it are gone.
const ResourceFinalizer = "network.berth.dev/resource"

// Resource is what the objects that stand for an ARM resource have in common.
type Resource struct {
	// ResourceID is the ARM id in the casing of the caller who made it, "" of
	// what an earlier version made. The object is named naming.Object(ResourceID).
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	ResourceID string `json:"resourceID,omitempty"`
	// Location is the region's name, lower case without spaces.
	// +optional
	Location string `json:"location,omitempty"`
	// Tags are the caller's own key and value pairs.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// GUID is the resource's own, which ARM shows beside its id.
	// +optional
	GUID string `json:"guid,omitempty"`
	// ManagedBy is the ARM id of the cluster that made it in its node resource
	// group, "" of what a caller made. As long as that cluster lives, nobody
	// changes or deletes the resource by hand.
	// +optional
	ManagedBy string `json:"managedBy,omitempty"`
	// Kept are the values of properties without effect, as JSON by the name of
	// the property, to be given back.
	// +kubebuilder:validation:MaxProperties=16
	// +optional
	Kept map[string]string `json:"kept,omitempty"`
}

// Object is a kind that stands for an ARM resource.
// +kubebuilder:object:generate=false
type Object interface {
	metav1.Object
	runtime.Object
	// Common is the part that all of them have, to read and to write.
	Common() *Resource
}

// Common implements Object.
func (n *VirtualNetwork) Common() *Resource { return &n.Spec.Resource }

// Common implements Object.
func (g *NetworkSecurityGroup) Common() *Resource { return &g.Spec.Resource }

// Common implements Object.
func (t *RouteTable) Common() *Resource { return &t.Spec.Resource }

// Common implements Object.
func (a *AddressReservation) Common() *Resource { return &a.Spec.Resource }
