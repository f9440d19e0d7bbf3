package containerservice

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/addon"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// The names of the access profiles, and of the kubeconfigs that they give.
const (
	accessAdmin      = "clusterAdmin"
	accessUser       = "clusterUser"
	accessMonitoring = "clusterMonitoringUser"
)

// subject is who a kubeconfig's certificate names. clusterAdmin and
// clusterUser are the same local administrator, as they are in the public
// service for clusters without directory accounts: what sets them apart is
// which role may ask for them. clusterMonitoringUser only reads.
func subject(access string) pki.Leaf {
	if access == accessMonitoring {
		return pki.Leaf{CommonName: accessMonitoring, Organizations: []string{addon.MonitoringGroup}, Client: true}
	}
	return pki.Leaf{CommonName: "masterclient", Organizations: []string{"system:masters"}, Client: true}
}

// credentials answers with a kubeconfig. A client certificate is issued for
// each call and stored nowhere.
func (p *Provider) credentials(access string) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		if err := checkCredentialQuery(r); err != nil {
			return err
		}
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		kubeconfig, err := p.kubeconfig(r, cluster, access)
		if err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
		return arm.WriteJSON(w, http.StatusOK, object{"kubeconfigs": []object{{
			"name": access, "value": base64.StdEncoding.EncodeToString(kubeconfig),
		}}})
	}
}

// checkCredentialQuery reads format, which says how directory accounts log in
// and so changes nothing here, and server-fqdn: there is no private name.
func checkCredentialQuery(r *arm.Request) error {
	for name, allowed := range map[string][]string{"format": {"", "azure", "exec"}, "server-fqdn": {"", "public"}} {
		value := r.URL.Query().Get(name)
		if !slices.Contains(allowed, strings.ToLower(value)) {
			return arm.NewError(http.StatusBadRequest, "InvalidQueryParameterValue",
				"The value '%.40s' of the query parameter %s is not supported here. Supported: %s.", value, name, strings.Join(allowed[1:], ", ")).At(name)
		}
	}
	return nil
}

// accessProfile answers with a kubeconfig in the older shape of access profiles.
func (p *Provider) accessProfile(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	for _, access := range []string{accessAdmin, accessUser} {
		if !strings.EqualFold(access, r.Param("roleName")) {
			continue
		}
		kubeconfig, err := p.kubeconfig(r, cluster, access)
		if err != nil {
			return err
		}
		id := ClusterID(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, cluster.Spec.Name).Child("accessProfiles", access)
		w.Header().Set("Cache-Control", "no-store")
		return arm.WriteJSON(w, http.StatusOK, object{
			"id": wireID(id), "name": access, "type": Namespace + "/ManagedClusters/AccessProfiles", "location": cluster.Spec.Location,
			"properties": object{"kubeConfig": base64.StdEncoding.EncodeToString(kubeconfig)},
		})
	}
	return arm.NewError(http.StatusNotFound, "NotFound",
		"The managed cluster '%s' has no access profile '%.40s'. There are %s and %s.", cluster.Spec.Name, r.Param("roleName"), accessAdmin, accessUser)
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
	certificate, key, err := authority.Issue(subject(name), p.Now())
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
