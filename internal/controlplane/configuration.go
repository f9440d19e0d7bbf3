package controlplane

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	apiserverv1beta1 "k8s.io/apiserver/pkg/apis/apiserver/v1beta1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/yaml"

	"berth.dev/berth/internal/pki"
)

// The directories and files of a control plane below its directory.
const (
	pkiDir    = "pki"
	configDir = "config"

	clientCAFile                = "client-ca.crt"
	clusterSignerFile           = "cluster-signer.crt"
	userSignerFile              = "user-signer.crt"
	oldestEtcdCAFile            = "etcd-ca-oldest.crt"
	encryptionFile              = "encryption.yaml"
	egressFile                  = "egress.yaml"
	auditPolicyFile             = "audit-policy.yaml"
	controllerManagerKubeconfig = "controller-manager.kubeconfig"
	schedulerKubeconfig         = "scheduler.kubeconfig"
)

// credentials are the files of the PKI that the processes read. The keys that
// only Berth uses (its own client, the etcd and front-proxy CAs) stay away from them.
func credentials() []string {
	return []string{
		pki.ClusterCACert, pki.ClusterCAKey, pki.UserCACert, pki.UserCAKey, pki.FrontProxyCACert,
		pki.FrontProxyClientCert, pki.FrontProxyClientKey, pki.ServiceAccountKey, pki.ServiceAccountPub,
		pki.EtcdCACert, pki.EtcdServerCert, pki.EtcdServerKey, pki.EtcdClientCert, pki.EtcdClientKey,
		pki.APIServerCert, pki.APIServerKey,
		pki.ControllerManagerCert, pki.ControllerManagerKey, pki.SchedulerCert, pki.SchedulerKey,
		pki.KonnectivityServerCert, pki.KonnectivityServerKey,
	}
}

// lasting is the name of a file that never changes: another content has another
// name. An API server that sees the certificate change which it shows to kubelets
// ends every connection to them, with all that is said over it; so one that is
// handed over keeps the one that it was started with.
func (d Desired) lasting(name string) string {
	extension := filepath.Ext(name)
	pair := pki.Digest(map[string][]byte{
		pki.APIServerKubeletClientCert: d.Credentials[pki.APIServerKubeletClientCert],
		pki.APIServerKubeletClientKey:  d.Credentials[pki.APIServerKubeletClientKey],
	})
	return strings.TrimSuffix(name, extension) + "-" + pair[:8] + extension
}

// Former says whether a file below a control plane's directory is one that its
// configuration had earlier, and that nothing needs once nothing of earlier runs.
func Former(name string, files map[string][]byte) bool {
	_, wanted := files[name]
	lasting := strings.TrimSuffix(filepath.Join(pkiDir, pki.APIServerKubeletClientCert), ".crt")
	return !wanted && strings.HasPrefix(name, lasting)
}

// Validate says what is wrong with a desired control plane, all of it at once.
func (d Desired) Validate() error {
	var errs []error
	refuse := func(wrong bool, format string, arguments ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("control plane %q: "+format, append([]any{d.ID}, arguments...)...))
		}
	}
	refuse(!ValidID(d.ID), "the id is not a word of lower-case letters and digits")
	refuse(!d.Address.IsValid(), "no address")
	refuse(!d.ServiceCIDR.IsValid(), "no service range")
	refuse(d.FQDN == "", "no FQDN")
	refuse(d.EmulatedVersion != "" && !regexp.MustCompile(`^[0-9]+\.[0-9]+$`).MatchString(d.EmulatedVersion), "%q is not a minor to emulate", d.EmulatedVersion)
	refuse(!validIssuer(d.Issuer), "the issuer %q is not an https URL", d.Issuer)
	refuse(len(d.EtcdPrefix) < 2 || d.EtcdPrefix[0] != '/', "the etcd prefix %q is not an absolute path", d.EtcdPrefix)
	refuse(d.UserID <= 0, "it would run as root")
	for _, name := range []string{Konnectivity, Etcd, APIServer, ControllerManager, Scheduler} {
		refuse(!filepath.IsAbs(d.Binaries[name]), "no program %s", name)
	}
	for _, name := range append(credentials(), pki.APIServerKubeletClientCert, pki.APIServerKubeletClientKey, pki.EncryptionKey, pki.ServiceClientCert, pki.ServiceClientKey) {
		refuse(len(d.Credentials[name]) == 0, "no credential %s", name)
	}
	return errors.Join(errs...)
}

// ValidID says whether an id can name files, control groups and namespaces.
func ValidID(id string) bool {
	return regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`).MatchString(id)
}

// configuration is the content of a control plane's files.
func configuration(desired Desired, dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range credentials() {
		files[filepath.Join(pkiDir, name)] = desired.Credentials[name]
	}
	for _, name := range []string{pki.APIServerKubeletClientCert, pki.APIServerKubeletClientKey} {
		files[filepath.Join(pkiDir, desired.lasting(name))] = desired.Credentials[name]
	}
	files[filepath.Join(configDir, clientCAFile)] = slices.Concat(desired.Credentials[pki.ClusterCACert], desired.Credentials[pki.UserCACert])
	files[filepath.Join(configDir, clusterSignerFile)] = pki.Signer(desired.Credentials[pki.ClusterCACert])
	files[filepath.Join(configDir, userSignerFile)] = pki.Signer(desired.Credentials[pki.UserCACert])
	files[filepath.Join(configDir, oldestEtcdCAFile)] = pki.Oldest(desired.Credentials, pki.EtcdCACert)
	keys, err := pki.EncryptionKeys(desired.Credentials[pki.EncryptionKey])
	if err != nil {
		return nil, err
	}
	documents := map[string]any{
		encryptionFile:  encryption(keys),
		auditPolicyFile: auditPolicy(),
	}
	for _, slot := range Slots() {
		documents[slot.own(egressFile)] = egress(slot.own(plan{Desired: desired, dir: dir}.socket()))
	}
	for name, document := range documents {
		data, err := yaml.Marshal(document)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		files[filepath.Join(configDir, name)] = data
	}
	for name, user := range map[string]componentUser{
		controllerManagerKubeconfig: {"system:kube-controller-manager", pki.ControllerManagerCert, pki.ControllerManagerKey},
		schedulerKubeconfig:         {"system:kube-scheduler", pki.SchedulerCert, pki.SchedulerKey},
	} {
		data, err := user.kubeconfig(desired.Address, desired.Credentials)
		if err != nil {
			return nil, err
		}
		files[filepath.Join(configDir, name)] = data
	}
	return files, nil
}

type componentUser struct{ name, cert, key string }

func (u componentUser) kubeconfig(address netip.Addr, credentials map[string][]byte) ([]byte, error) {
	return pki.Kubeconfig(pki.KubeconfigOptions{
		Cluster: "cluster", User: u.name, Server: serverURL(address), CA: credentials[pki.ClusterCACert],
		ClientCert: credentials[u.cert], ClientKey: credentials[u.key],
	})
}

// encryption encrypts Secrets at rest with the first key and reads what any of
// them encrypted. No plain-text provider follows: what is not encrypted is not
// read either. secretbox needs no rotation after a number of writes, as AES-GCM
// with random nonces does.
func encryption(keys []pki.NamedKey) apiserverv1.EncryptionConfiguration {
	var named []apiserverv1.Key
	for _, key := range keys {
		named = append(named, apiserverv1.Key{Name: key.Name, Secret: base64.StdEncoding.EncodeToString(key.Key[:])})
	}
	return apiserverv1.EncryptionConfiguration{
		TypeMeta: metav1.TypeMeta{Kind: "EncryptionConfiguration", APIVersion: apiserverv1.SchemeGroupVersion.String()},
		Resources: []apiserverv1.ResourceConfiguration{{
			Resources: []string{"secrets"},
			Providers: []apiserverv1.ProviderConfiguration{{Secretbox: &apiserverv1.SecretboxConfiguration{Keys: named}}},
		}},
	}
}

// egress sends what goes to the nodes and pods through konnectivity, and so
// what goes to the URL of a webhook: a tenant writes it, and dialed from here it
// would reach the loopback ports of the control plane. The datastore is reached directly.
func egress(socket string) apiserverv1beta1.EgressSelectorConfiguration {
	through := apiserverv1beta1.Connection{
		ProxyProtocol: apiserverv1beta1.ProtocolGRPC,
		Transport:     &apiserverv1beta1.Transport{UDS: &apiserverv1beta1.UDSTransport{UDSName: socket}},
	}
	return apiserverv1beta1.EgressSelectorConfiguration{
		TypeMeta: metav1.TypeMeta{Kind: "EgressSelectorConfiguration", APIVersion: apiserverv1beta1.SchemeGroupVersion.String()},
		EgressSelections: []apiserverv1beta1.EgressSelection{
			{Name: "cluster", Connection: through}, {Name: "controlplane", Connection: through},
		},
	}
}

// auditPolicy logs who did what, and what they wrote, but never the content of
// a secret, and not the din of the system's own watching.
func auditPolicy() auditv1.Policy {
	secrets := []auditv1.GroupResources{
		{Resources: []string{"secrets", "configmaps", "serviceaccounts/token"}},
		{Group: "authentication.k8s.io", Resources: []string{"tokenreviews"}},
	}
	return auditv1.Policy{
		TypeMeta:          metav1.TypeMeta{Kind: "Policy", APIVersion: auditv1.SchemeGroupVersion.String()},
		OmitStages:        []auditv1.Stage{auditv1.StageRequestReceived},
		OmitManagedFields: true,
		Rules: []auditv1.PolicyRule{
			{Level: auditv1.LevelNone, NonResourceURLs: []string{"/healthz*", "/livez*", "/readyz*", "/version", "/openapi/*"}},
			{Level: auditv1.LevelNone, Resources: []auditv1.GroupResources{
				{Resources: []string{"events"}}, {Group: "events.k8s.io", Resources: []string{"events"}},
			}},
			{Level: auditv1.LevelMetadata, Resources: secrets},
			{
				Level: auditv1.LevelNone, UserGroups: []string{"system:nodes", "system:serviceaccounts:kube-system"},
				Verbs: []string{"get", "list", "watch"},
			},
			{
				Level: auditv1.LevelNone,
				Users: []string{"system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"},
				Verbs: []string{"get", "list", "watch"},
			},
			{Level: auditv1.LevelNone, Resources: []auditv1.GroupResources{{Group: "coordination.k8s.io", Resources: []string{"leases"}}}},
			{Level: auditv1.LevelMetadata, Verbs: []string{"get", "list", "watch"}},
			{Level: auditv1.LevelRequest},
		},
	}
}
