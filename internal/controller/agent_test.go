package controller_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/addon"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// agent does what the host agent does, at once, and says whether it did anything.
func (w *world) agent() (changed bool) {
	w.t.Helper()
	if w.hostDown {
		return false
	}
	ctx := context.Background()
	var planes containerservicev1.ControlPlaneList
	must(w.t, w.api.List(ctx, &planes))
	for i := range planes.Items {
		plane := &planes.Items[i]
		if plane.Spec.HostName == "" {
			continue
		}
		changed = w.observe(plane, containerservicev1.ControlPlaneFinalizer, &plane.Status.ObservedGeneration, func() {
			if w.powered(plane, plane.Spec.PowerState, &plane.Status.Conditions, containerservicev1.ConditionReady) {
				if plane.Status.EncryptionKeyName = plane.Spec.EncryptionKeyName; w.rewritesNothing {
					plane.Status.EncryptionKeyName = ""
				}
				w.setTrue(plane, &plane.Status.Conditions, containerservicev1.ConditionReleaseReady, containerservicev1.ConditionUpToDate)
				w.runs(plane)
			}
		}) || w.reanchor(plane) || changed
	}
	var networks networkv1.VirtualNetworkList
	must(w.t, w.api.List(ctx, &networks))
	for i := range networks.Items {
		network := &networks.Items[i]
		changed = w.observe(network, networkv1.VirtualNetworkFinalizer, &network.Status.ObservedGeneration, func() {
			w.setTrue(network, &network.Status.Conditions, "Ready")
		}) || changed
	}
	var balancers networkv1.LoadBalancerList
	must(w.t, w.api.List(ctx, &balancers))
	for i := range balancers.Items {
		balancer := &balancers.Items[i]
		changed = w.observe(balancer, "", &balancer.Status.ObservedGeneration, func() {
			balancer.Status.Frontends = balancer.Spec.Programmed()
			w.setTrue(balancer, &balancer.Status.Conditions, "Ready")
		}) || changed
	}
	var machines containerservicev1.MachineList
	must(w.t, w.api.List(ctx, &machines))
	for i := range machines.Items {
		machine := &machines.Items[i]
		var observed int64
		if c := apimeta.FindStatusCondition(machine.Status.Conditions, containerservicev1.ConditionProvisioned); c != nil {
			observed = c.ObservedGeneration
		}
		changed = w.observe(machine, containerservicev1.MachineFinalizer, &observed, func() {
			if machine.Status.NodeImage == "" { // it keeps its disk
				machine.Status.NodeImage = w.nodeImage
			}
			if machine.Spec.Credentials != nil {
				machine.Status.CredentialsDigest = machine.Spec.Credentials.Digest
			}
			w.powered(machine, machine.Spec.PowerState, &machine.Status.Conditions,
				containerservicev1.ConditionProvisioned, containerservicev1.ConditionNetworked)
		}) || changed
		changed = w.looked(machine) || changed
	}
	return changed
}

// looked tells, as the host agent does, which volumes lack an authority that is
// published; those of behind never hold it.
func (w *world) looked(machine *containerservicev1.Machine) bool {
	w.t.Helper()
	cluster := &containerservicev1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: machine.Spec.ClusterName}}
	if machine.DeletionTimestamp != nil || machine.Spec.PowerState == meta.PowerStopped || !w.exists(cluster) {
		return false
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: naming.Credentials(cluster.Spec.Incarnation)}}
	if !w.exists(secret) || len(pki.AuthorityIDs(secret.Data[pki.ClusterCACert])) < 2 {
		return false
	}
	published := secret.Annotations[containerservicev1.AuthorityPublished]
	found := &containerservicev1.BundleStatus{Authority: published, Behind: w.behind}
	if published != pki.AuthorityID(secret.Data[pki.ClusterCACert]) || equality.Semantic.DeepEqual(machine.Status.Bundles, found) {
		return false
	}
	machine.Status.Bundles = found
	w.settled(w.api.Status().Update(context.Background(), machine))
	return true
}

// reanchor begins anew, as the host agent does, what a clock that was set back
// makes a time to come.
func (w *world) reanchor(plane *containerservicev1.ControlPlane) bool {
	w.t.Helper()
	now, again := metav1.NewTime(w.clock.Now()), false
	for _, since := range []**metav1.Time{&plane.Status.HealthySince, &plane.Status.VersionSince} {
		if *since != nil && (*since).After(now.Time) {
			*since, again = &now, true
		}
	}
	if again {
		w.settled(w.api.Status().Update(context.Background(), plane))
	}
	return again
}

// observe lets go of what is deleted, and writes the status of what changed.
func (w *world) observe(o client.Object, finalizer string, observed *int64, write func()) bool {
	w.t.Helper()
	if o.GetDeletionTimestamp() != nil {
		if !controllerutil.RemoveFinalizer(o, finalizer) {
			return false
		}
		w.settled(w.api.Update(context.Background(), o))
		return true
	}
	if *observed == o.GetGeneration() {
		return false
	}
	*observed = o.GetGeneration()
	write()
	w.settled(w.api.Status().Update(context.Background(), o))
	return true
}

// settled lets a write lose a race: the next look writes it again.
func (w *world) settled(err error) {
	w.t.Helper()
	if !apierrors.IsConflict(err) {
		must(w.t, client.IgnoreNotFound(err))
	}
}

func (w *world) setTrue(o client.Object, conditions *[]metav1.Condition, types ...string) {
	for _, conditionType := range types {
		condition.Stamp{Generation: o.GetGeneration(), Time: w.clock.Now()}.Set(conditions, conditionType, condition.True(""))
	}
}

// powered tells conditions that are true of what runs, as its power state says,
// and says whether it runs.
func (w *world) powered(o client.Object, state meta.PowerState, conditions *[]metav1.Condition, types ...string) bool {
	if state != meta.PowerStopped {
		w.setTrue(o, conditions, types...)
		apimeta.RemoveStatusCondition(conditions, containerservicev1.ConditionStopped)
		return true
	}
	for _, conditionType := range types {
		condition.Stamp{Generation: o.GetGeneration(), Time: w.clock.Now()}.Set(conditions, conditionType, condition.Stopped(""))
	}
	w.setTrue(o, conditions, containerservicev1.ConditionStopped)
	return false
}

// kubelets join as real ones do: once the machine runs and the tenant has its
// token, they ask for a client certificate with it, then register, then ask for
// a serving certificate; the tenant's own signer issues what was approved.
func (w *world) kubelets() (changed bool) {
	w.t.Helper()
	if w.kubeletsDown {
		return false
	}
	var machines containerservicev1.MachineList
	must(w.t, w.api.List(context.Background(), &machines))
	for i := range machines.Items {
		machine := &machines.Items[i]
		cluster := &containerservicev1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: machine.Spec.ClusterName}}
		if !w.exists(cluster) || cluster.Status.Address == "" || !w.answers(cluster) || machine.DeletionTimestamp != nil ||
			!containerservicev1.ConditionTrue(machine.Status.Conditions, containerservicev1.ConditionProvisioned) ||
			machine.Spec.Credentials == nil || machine.Status.CredentialsDigest != machine.Spec.Credentials.Digest {
			continue
		}
		if w.sickNodes[machine.Spec.KubernetesVersion] {
			continue
		}
		changed = w.join(w.tenantAPI(cluster.Status.Address), machine) || changed
	}
	return changed
}

// answers says whether the API server of a cluster runs.
func (w *world) answers(cluster *containerservicev1.ManagedCluster) bool {
	w.t.Helper()
	plane := &containerservicev1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: cluster.Spec.Incarnation}}
	return w.exists(plane) && containerservicev1.ConditionTrue(plane.Status.Conditions, containerservicev1.ConditionReady)
}

// join takes the next step of one kubelet.
func (w *world) join(api client.Client, machine *containerservicev1.Machine) bool {
	w.t.Helper()
	ctx := context.Background()
	token := &corev1.Secret{}
	tokenErr := api.Get(ctx, client.ObjectKey{Namespace: "kube-system", Name: "bootstrap-token-" + machine.Spec.BootstrapTokenID}, token)
	node := &corev1.Node{}
	nodeErr := api.Get(ctx, client.ObjectKey{Name: machine.Spec.NodeName}, node)
	// with another authority a kubelet begins anew
	name := fmt.Sprintf("%s-%.8s", machine.Name, machine.Spec.Credentials.Authority)
	clientRequest := w.request(api, "client-"+name)
	serving := w.request(api, "serving-"+name)
	authority := w.authority(machine)
	switch {
	case clientRequest == nil && tokenErr == nil:
		must(w.t, api.Create(ctx, &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "client-" + name},
			Spec: certificatesv1.CertificateSigningRequestSpec{
				SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName,
				Username:   "system:bootstrap:" + machine.Spec.BootstrapTokenID, Groups: []string{addon.BootstrappersGroup},
				Usages:  []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
				Request: encodedRequest(w.t.Fatal, machine.Spec.NodeName, nil, ""),
			},
		}))
	case clientRequest == nil:
		return false
	case w.sign(api, authority, clientRequest), !w.servingUnsigned && w.sign(api, authority, serving):
	case len(clientRequest.Status.Certificate) > 0 && nodeErr != nil:
		must(w.t, api.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: machine.Spec.NodeName}, Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{w.alive()},
			NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: "v" + machine.Spec.KubernetesVersion},
		}}))
	case nodeErr == nil && w.restarted(machine, node):
		node.Status.Conditions = []corev1.NodeCondition{w.alive()}
		must(w.t, api.Status().Update(ctx, node))
	case nodeErr == nil && serving == nil:
		must(w.t, api.Create(ctx, &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "serving-" + name},
			Spec: certificatesv1.CertificateSigningRequestSpec{
				SignerName: certificatesv1.KubeletServingSignerName,
				Username:   "system:node:" + machine.Spec.NodeName, Groups: []string{"system:nodes"},
				Usages:  []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
				Request: encodedRequest(w.t.Fatal, machine.Spec.NodeName, []string{machine.Spec.NodeName}, machine.Spec.Address),
			},
		}))
	default:
		return false
	}
	return true
}

// alive is what a kubelet says of itself now.
func (w *world) alive() corev1.NodeCondition {
	return corev1.NodeCondition{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.NewTime(w.clock.Now()),
	}
}

// restarted says that a machine was started since its node told its status.
func (w *world) restarted(machine *containerservicev1.Machine, node *corev1.Node) bool {
	started := apimeta.FindStatusCondition(machine.Status.Conditions, containerservicev1.ConditionProvisioned)
	since := started.LastTransitionTime.Time
	return len(node.Status.Conditions) > 0 && !since.After(w.clock.Now()) && node.Status.Conditions[0].LastHeartbeatTime.Time.Before(since)
}

// request reads a certificate request, nil if there is none.
func (w *world) request(api client.Client, name string) *certificatesv1.CertificateSigningRequest {
	found := &certificatesv1.CertificateSigningRequest{}
	if err := api.Get(context.Background(), client.ObjectKey{Name: name}, found); err != nil {
		must(w.t, client.IgnoreNotFound(err))
		return nil
	}
	return found
}

// authority is the one that signs for the kubelets of a machine's cluster.
func (w *world) authority(machine *containerservicev1.Machine) pki.Authority {
	w.t.Helper()
	cluster := &containerservicev1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: machine.Spec.ClusterName}}
	must(w.t, w.api.Get(context.Background(), client.ObjectKeyFromObject(cluster), cluster))
	secret := &corev1.Secret{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Namespace: naming.SystemNamespace, Name: naming.Credentials(cluster.Spec.Incarnation)}, secret))
	authority, err := pki.ParseAuthority(secret.Data[pki.ClusterCACert], secret.Data[pki.ClusterCAKey])
	must(w.t, err)
	return authority
}

// sign issues the certificate of a request that is approved.
func (w *world) sign(api client.Client, authority pki.Authority, request *certificatesv1.CertificateSigningRequest) bool {
	if request == nil || len(request.Status.Certificate) > 0 || len(request.Status.Conditions) == 0 {
		return false
	}
	if c := request.Status.Conditions[0]; c.Type != certificatesv1.CertificateApproved {
		w.t.Fatalf("%s was denied: %s", request.Name, c.Message)
	}
	certificate, _, err := authority.Issue(pki.Leaf{CommonName: request.Spec.Username, Server: true}, w.clock.Now())
	must(w.t, err)
	request.Status.Certificate = certificate
	must(w.t, api.SubResource("status").Update(context.Background(), request))
	return true
}

// encodedRequest is the certificate request of a node.
func encodedRequest(fatal func(...any), nodeName string, dnsNames []string, address string) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fatal(err)
	}
	template := &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "system:node:" + nodeName, Organization: []string{"system:nodes"}},
		DNSNames: dnsNames,
	}
	if address != "" {
		template.IPAddresses = []net.IP{net.ParseIP(address)}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
