// Package addon owns what Berth puts into every tenant's cluster: the RBAC that
// nodes join with, CoreDNS, metrics-server and the storage classes. The manifests are embedded YAML, rendered from a
// few values and applied by server-side apply under Berth's own field manager.
// It must not know the management API.
package addon

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/template"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldManager owns the fields that Berth applies.
const FieldManager = "berth"

// BootstrappersGroup is the group of the bootstrap tokens of machines.
const BootstrappersGroup = "system:bootstrappers:berth"

// MonitoringGroup is the group of the credential for monitoring: its holders read
// state, metrics and logs, and no Secrets.
const MonitoringGroup = "berth:cluster-monitoring-users"

// manifests are applied in the order of their names: nodes can join before DNS is there.
//
//go:embed manifests/*.yaml
var manifests embed.FS

// Values are what the manifests differ in from cluster to cluster.
type Values struct {
	// APIServerAddress is the public address of the API server, to which the
	// service "kubernetes" leads.
	APIServerAddress string
	// DNSServiceIP is the address of the cluster's DNS service.
	DNSServiceIP string
	// CoreDNSImage is the reference under which the nodes have CoreDNS's image.
	CoreDNSImage string
	// CoreDNSReplicas is how many servers the DNS has.
	CoreDNSReplicas int
	// MetricsServerImage is the reference under which the nodes have
	// metrics-server's image; empty for a cluster without such nodes, where an API
	// that nobody serves would hold up what asks for all APIs.
	MetricsServerImage string
	// NodeImage is the name of the node image that has it.
	NodeImage string
	// MetricsServerCert and MetricsServerKey are what metrics-server serves with,
	// and ClusterCA verifies it. PEM.
	MetricsServerCert, MetricsServerKey, ClusterCA []byte
	// UpstreamDNS answers what is not in the cluster; empty: nothing does.
	UpstreamDNS string
}

// Render makes the objects for one cluster, in the order to apply them.
func Render(values Values) ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(manifests, "manifests/*.yaml") // sorted
	if err != nil {
		return nil, fmt.Errorf("listing add-on manifests: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, name := range names {
		content, err := manifests.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading add-on manifest: %w", err)
		}
		parsed, err := renderFile(name, content, values)
		if err != nil {
			return nil, fmt.Errorf("rendering add-on manifest %s: %w", name, err)
		}
		objects = append(objects, parsed...)
	}
	return objects, nil
}

// renderFile makes the objects of one file.
func renderFile(name string, content []byte, values Values) ([]*unstructured.Unstructured, error) {
	functions := template.FuncMap{"diskClasses": diskClasses, "base64": base64.StdEncoding.EncodeToString}
	parsed, err := template.New(name).Option("missingkey=error").Funcs(functions).Parse(string(content))
	if err != nil {
		return nil, err
	}
	var rendered bytes.Buffer
	if err := parsed.Execute(&rendered, values); err != nil {
		return nil, err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(&rendered, 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// diskClasses are the storage classes of disks as AKS names them, the default first.
func diskClasses() []string {
	return []string{"default", "managed", "managed-csi", "managed-premium", "managed-csi-premium"}
}

// The marks of what is made once and then the cluster's own, and of what is the
// service's; AKS has both. Whatever is not made once is applied again.
const (
	modeLabel    = "addonmanager.kubernetes.io/mode"
	ensureExists = "EnsureExists"
	reconcile    = "Reconcile"
)

// Reconciled says that an object of a cluster bears the mark of an add-on that is
// applied again: what the cluster's owner changes in it does not last.
func Reconciled(object metav1.Object) bool {
	return object.GetNamespace() == metav1.NamespaceSystem && object.GetLabels()[modeLabel] == reconcile
}

// Apply makes a tenant's cluster hold the objects. Fields that others own and
// the manifests do not name stay as they are, and so does all of an object that
// only has to exist.
func Apply(ctx context.Context, c client.Client, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if object.GetLabels()[modeLabel] == ensureExists {
			if err := c.Create(ctx, object.DeepCopy(), client.FieldOwner(FieldManager)); err != nil && !apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("making %s %s: %w", object.GetKind(), object.GetName(), err)
			}
			continue
		}
		err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()),
			client.FieldOwner(FieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}
