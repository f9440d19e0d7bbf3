package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/addon"
)

const (
	nodeA, nodeB = "aks-nodepool1-12345678-vmss000000", "aks-nodepool1-12345678-vmss000001"
	addressA     = "10.224.0.4"
	addressB     = "10.224.0.5"
	tokenA       = "aaaaaa"
	tokenB       = "bbbbbb"
)

// machines are two nodes of one cluster.
func machines() []v1alpha1.Machine {
	return []v1alpha1.Machine{
		{Spec: v1alpha1.MachineSpec{NodeName: nodeA, Address: addressA, BootstrapTokenID: tokenA}},
		{Spec: v1alpha1.MachineSpec{NodeName: nodeB, Address: addressB, BootstrapTokenID: tokenB}},
	}
}

// ask is a request with the x509 request in it still open to change.
type ask struct {
	spec     certificatesv1.CertificateSigningRequestSpec
	template x509.CertificateRequest
	machines []v1alpha1.Machine
}

func subjectOf(nodeName string) pkix.Name {
	return pkix.Name{CommonName: "system:node:" + nodeName, Organization: []string{"system:nodes"}}
}

// first is node A asking for its first client certificate.
func first() ask {
	return ask{
		machines: machines(),
		template: x509.CertificateRequest{Subject: subjectOf(nodeA)},
		spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName,
			Username:   "system:bootstrap:" + tokenA, Groups: []string{"system:bootstrappers", addon.BootstrappersGroup, "system:authenticated"},
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageClientAuth},
		},
	}
}

// renewal is node A asking for its next client certificate.
func renewal() ask {
	a := first()
	a.spec.Username, a.spec.Groups = "system:node:"+nodeA, []string{"system:nodes", "system:authenticated"}
	return a
}

// serving is node A asking for a serving certificate.
func serving() ask {
	a := renewal()
	a.spec.SignerName = certificatesv1.KubeletServingSignerName
	a.spec.Usages = []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth}
	a.template.DNSNames, a.template.IPAddresses = []string{nodeA}, []net.IP{net.ParseIP(addressA)}
	return a
}

func (a ask) decide(t *testing.T) error {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.spec.Request == nil {
		der, err := x509.CreateCertificateRequest(rand.Reader, &a.template, key)
		if err != nil {
			t.Fatal(err)
		}
		a.spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	}
	return decide(&certificatesv1.CertificateSigningRequest{Spec: a.spec}, a.machines)
}

func TestANodeGetsWhatItsOwnMachineMayHave(t *testing.T) {
	nameAlone, addressAlone := serving(), serving()
	nameAlone.template.IPAddresses, addressAlone.template.DNSNames = nil, nil
	renewed := renewal()
	renewed.machines[0].Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionBootstrapped, Status: metav1.ConditionTrue}}
	for name, a := range map[string]ask{
		"its first client certificate":                   first(),
		"the next client certificate, by itself":         renewal(),
		"the next one after its token is used up":        renewed,
		"a serving certificate for its name and address": serving(),
		"a serving certificate for its name alone":       nameAlone,
		"a serving certificate for its address alone":    addressAlone,
	} {
		t.Run(name, func(t *testing.T) {
			if err := a.decide(t); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestEverythingElseIsRefused(t *testing.T) {
	change := func(a ask, f func(*ask)) ask { f(&a); return a }
	for name, test := range map[string]struct {
		ask    ask
		reason string
	}{
		"a node's token that asks for another's name": {change(first(), func(a *ask) { a.template.Subject = subjectOf(nodeB) }), "is not the identity"},
		"a token of no machine":                       {change(first(), func(a *ask) { a.spec.Username = "system:bootstrap:cccccc" }), "is not the identity"},
		"a token without Berth's group": {change(first(), func(a *ask) {
			a.spec.Groups = []string{"system:bootstrappers"}
		}), "is not the identity"},
		"a token that is used up": {change(first(), func(a *ask) {
			a.machines[0].Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionBootstrapped, Status: metav1.ConditionTrue}}
		}), "used up"},
		"a name that is no machine's": {change(first(), func(a *ask) { a.template.Subject = subjectOf("other") }), "has no machine"},
		"a machine that is being deleted": {change(first(), func(a *ask) {
			now := metav1.NewTime(time.Unix(0, 0))
			a.machines[0].DeletionTimestamp = &now
		}), "has no machine"},
		"a node that renews another's":      {change(renewal(), func(a *ask) { a.template.Subject = subjectOf(nodeB) }), "may not ask"},
		"an administrator":                  {change(first(), func(a *ask) { a.spec.Username, a.spec.Groups = "admin", []string{"system:masters"} }), "may not ask"},
		"a node's name outside the group":   {change(renewal(), func(a *ask) { a.spec.Groups = []string{"system:authenticated"} }), "may not ask"},
		"a common name that is no node's":   {change(first(), func(a *ask) { a.template.Subject.CommonName = "admin" }), "not that of a node"},
		"an empty node name":                {change(first(), func(a *ask) { a.template.Subject.CommonName = "system:node:" }), "not that of a node"},
		"the administrators' group":         {change(first(), func(a *ask) { a.template.Subject.Organization = []string{"system:masters"} }), "not system:nodes alone"},
		"the administrators' group as well": {change(first(), func(a *ask) { a.template.Subject.Organization = []string{"system:nodes", "system:masters"} }), "not system:nodes alone"},
		"no group":                          {change(first(), func(a *ask) { a.template.Subject.Organization = nil }), "not system:nodes alone"},
		"more in the subject":               {change(first(), func(a *ask) { a.template.Subject.OrganizationalUnit = []string{"x"} }), "holds more"},
		"a client certificate with a name":  {change(first(), func(a *ask) { a.template.DNSNames = []string{nodeA} }), "no alternative names"},
		"a client certificate with an address": {change(renewal(), func(a *ask) {
			a.template.IPAddresses = []net.IP{net.ParseIP(addressA)}
		}), "no alternative names"},
		"a client certificate that serves": {change(first(), func(a *ask) {
			a.spec.Usages = append(a.spec.Usages, certificatesv1.UsageServerAuth)
		}), "not one of a kubelet's"},
		"a client certificate that signs": {change(renewal(), func(a *ask) {
			a.spec.Usages = append(a.spec.Usages, certificatesv1.UsageCertSign)
		}), "not one of a kubelet's"},
		"no usage at all": {change(first(), func(a *ask) { a.spec.Usages = nil }), "is missing"},

		"a serving certificate for another's name":    {change(serving(), func(a *ask) { a.template.DNSNames = []string{nodeA, nodeB} }), "DNS name"},
		"a serving certificate for the API server":    {change(serving(), func(a *ask) { a.template.DNSNames = []string{"kubernetes.default.svc"} }), "DNS name"},
		"a serving certificate for a wildcard":        {change(serving(), func(a *ask) { a.template.DNSNames = []string{"*"} }), "DNS name"},
		"a serving certificate for another's address": {change(serving(), func(a *ask) { a.template.IPAddresses = []net.IP{net.ParseIP(addressB)} }), "address"},
		"a serving certificate for loopback": {change(serving(), func(a *ask) {
			a.template.IPAddresses = append(a.template.IPAddresses, net.ParseIP("127.0.0.1"))
		}), "address"},
		"a serving certificate for another node": {change(serving(), func(a *ask) { a.template.Subject = subjectOf(nodeB) }), "may not ask"},
		"a serving certificate by token": {change(serving(), func(a *ask) {
			a.spec.Username, a.spec.Groups = "system:bootstrap:"+tokenA, []string{addon.BootstrappersGroup}
		}), "may not ask"},
		"a serving certificate for nothing": {change(serving(), func(a *ask) { a.template.DNSNames, a.template.IPAddresses = nil, nil }), "needs a name"},
		"a serving certificate with a URI": {change(serving(), func(a *ask) {
			a.template.URIs = []*url.URL{{Scheme: "spiffe", Host: "x"}}
		}), "e-mail addresses or URIs"},
		"a serving certificate with an e-mail address": {change(serving(), func(a *ask) { a.template.EmailAddresses = []string{"a@b"} }), "e-mail addresses or URIs"},
		"a serving certificate that is a client's": {change(serving(), func(a *ask) {
			a.spec.Usages = append(a.spec.Usages, certificatesv1.UsageClientAuth)
		}), "not one of a kubelet's"},

		"what is no PEM":           {change(first(), func(a *ask) { a.spec.Request = []byte("x") }), "PEM"},
		"a PEM that is no request": {change(first(), func(a *ask) { a.spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE"}) }), "PEM"},
		"a request that is no ASN.1": {change(first(), func(a *ask) {
			a.spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte("x")})
		}), "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.ask.decide(t)
			if err == nil || !strings.Contains(err.Error(), test.reason) {
				t.Fatalf("got %v, want a refusal with %q", err, test.reason)
			}
		})
	}
}

func TestOtherSignersAndAnsweredRequestsAreLeftAlone(t *testing.T) {
	approved := first().spec
	for name, test := range map[string]struct {
		request certificatesv1.CertificateSigningRequest
		open    bool
	}{
		"a kubelet's request": {certificatesv1.CertificateSigningRequest{Spec: first().spec}, true},
		"another signer's": {certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: certificatesv1.KubeAPIServerClientSignerName,
		}}, false},
		"one that is approved": {certificatesv1.CertificateSigningRequest{Spec: approved, Status: certificatesv1.CertificateSigningRequestStatus{
			Conditions: []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved}},
		}}, false},
		"one that is denied": {certificatesv1.CertificateSigningRequest{Spec: approved, Status: certificatesv1.CertificateSigningRequestStatus{
			Conditions: []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied}},
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isOpen(&test.request); got != test.open {
				t.Fatalf("open: %t, want %t", got, test.open)
			}
		})
	}
}
