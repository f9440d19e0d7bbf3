package containerservice

import (
	"encoding/base64"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// credentials answers with a kubeconfig under the name clusterAdmin or
// clusterUser. Both are the cluster's local administrator, as they are in the
// public service without directory accounts. A client certificate is issued for
// each call and stored nowhere.
func (p *Provider) credentials(name string) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		if format := r.URL.Query().Get("format"); format != "" && format != "azure" {
			return arm.NotImplemented("The kubeconfig format '" + format[:min(len(format), 20)] + "'")
		}
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		kubeconfig, err := p.kubeconfig(r, cluster, name)
		if err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
		return arm.WriteJSON(w, http.StatusOK, object{"kubeconfigs": []object{{
			"name": name, "value": base64.StdEncoding.EncodeToString(kubeconfig),
		}}})
	}
}

func (p *Provider) kubeconfig(r *arm.Request, cluster *containerservicev1alpha1.ManagedCluster, name string) ([]byte, error) {
	if err := reachable(cluster); err != nil {
		return nil, err
	}
	var secret corev1.Secret
	err := p.Client.Get(r.Context(), client.ObjectKey{Namespace: naming.SystemNamespace, Name: naming.Credentials(cluster.Spec.Incarnation)}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, notReady(cluster)
	}
	if err != nil {
		return nil, err
	}
	authority, err := pki.ParseAuthority(secret.Data[pki.UserCACert], secret.Data[pki.UserCAKey])
	if err != nil {
		return nil, fmt.Errorf("reading the user CA of %s: %w", cluster.Name, err)
	}
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: "masterclient", Organizations: []string{"system:masters"}, Client: true}, p.Now())
	if err != nil {
		return nil, fmt.Errorf("issuing a client certificate of %s: %w", cluster.Name, err)
	}
	server := cluster.Status.Address
	if p.DNSResolvable && cluster.Status.FQDN != "" {
		server = cluster.Status.FQDN
	}
	return pki.Kubeconfig(pki.KubeconfigOptions{
		Cluster: cluster.Spec.Name, Context: cluster.Spec.Name,
		User:   name + "_" + cluster.Spec.ResourceGroup + "_" + cluster.Spec.Name,
		Server: "https://" + server + ":443", CA: secret.Data[pki.ClusterCACert],
		ClientCert: certificate, ClientKey: key,
	})
}

// reachable is nil once the cluster's API server has ever answered: before
// that, a kubeconfig would be of no use.
func reachable(cluster *containerservicev1alpha1.ManagedCluster) error {
	if cluster.DeletionTimestamp != nil {
		return admitOperation(cluster, meta.ScopeCluster)
	}
	answered := cluster.Status.CurrentKubernetesVersion != "" ||
		containerservicev1alpha1.ConditionTrue(cluster.Status.Conditions, containerservicev1alpha1.ConditionControlPlaneReady)
	if cluster.Status.Address == "" || !answered {
		return notReady(cluster)
	}
	return nil
}

func notReady(cluster *containerservicev1alpha1.ManagedCluster) error {
	why := "it is in the provisioning state " + cluster.DeriveProvisioningState()
	for _, progress := range cluster.Status.Progress {
		if progress.Scope == meta.ScopeCluster {
			why = "it waits for " + progress.Phase + ": " + progress.Message
		}
	}
	return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"The control plane of the managed cluster '%s' is not there yet (%s). Ask for credentials again when the cluster is created.", cluster.Spec.Name, why).
		With("Retry-After", arm.RetryAfter)
}
