package certificate

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/addon"
)

// The names that Kubernetes gives to nodes and to those who bootstrap.
const (
	nodeUserPrefix  = "system:node:"
	tokenUserPrefix = "system:bootstrap:"
	nodesGroup      = "system:nodes"
)

// decide says whether a request for a kubelet's certificate is one that the
// machine which it names would make; nil approves. The machines are those of the
// cluster that the request was made in.
func decide(request *certificatesv1.CertificateSigningRequest, machines []v1alpha1.Machine) error {
	parsed, err := parse(request.Spec.Request)
	if err != nil {
		return err
	}
	nodeName, err := subject(parsed)
	if err != nil {
		return err
	}
	machine, err := find(machines, nodeName)
	if err != nil {
		return err
	}
	switch request.Spec.SignerName {
	case certificatesv1.KubeAPIServerClientKubeletSignerName:
		return decideClient(request, parsed, machine)
	case certificatesv1.KubeletServingSignerName:
		return decideServing(request, parsed, machine)
	}
	return fmt.Errorf("signer %s is not Berth's to approve", request.Spec.SignerName)
}

// parse reads the request and proves that the requester holds the key.
func parse(encoded []byte) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode(encoded)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("the request is not one PEM block of a certificate request")
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	if err := parsed.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the request is not signed with its key: %w", err)
	}
	return parsed, nil
}

// subject is the node that the subject names; nothing else may be in it.
func subject(parsed *x509.CertificateRequest) (nodeName string, err error) {
	nodeName, ok := strings.CutPrefix(parsed.Subject.CommonName, nodeUserPrefix)
	if !ok || nodeName == "" {
		return "", fmt.Errorf("common name %q is not that of a node", parsed.Subject.CommonName)
	}
	if !slices.Equal(parsed.Subject.Organization, []string{nodesGroup}) {
		return "", fmt.Errorf("organizations %q are not %s alone", parsed.Subject.Organization, nodesGroup)
	}
	if len(parsed.Subject.Names) != 2 {
		return "", errors.New("the subject holds more than a common name and an organization")
	}
	return nodeName, nil
}

// find is the machine of a node. One that is on its way out gets nothing more.
func find(machines []v1alpha1.Machine, nodeName string) (*v1alpha1.Machine, error) {
	for i := range machines {
		if machines[i].Spec.NodeName == nodeName && machines[i].DeletionTimestamp == nil {
			return &machines[i], nil
		}
	}
	return nil, fmt.Errorf("the cluster has no machine for node %q", nodeName)
}

// decideClient allows a client certificate to the machine's own one-time token,
// and to the node itself, which renews it.
func decideClient(request *certificatesv1.CertificateSigningRequest, parsed *x509.CertificateRequest, machine *v1alpha1.Machine) error {
	user := request.Spec.Username
	if tokenID, ok := strings.CutPrefix(user, tokenUserPrefix); ok {
		switch {
		case tokenID != machine.Spec.BootstrapTokenID || !slices.Contains(request.Spec.Groups, addon.BootstrappersGroup):
			return fmt.Errorf("%s is not the identity of node %s", user, machine.Spec.NodeName)
		case !machine.NeedsToken():
			return fmt.Errorf("the one-time identity of node %s is used up", machine.Spec.NodeName)
		}
	} else if err := isNode(request, machine); err != nil {
		return err
	}
	if len(parsed.DNSNames)+len(parsed.IPAddresses)+len(parsed.EmailAddresses)+len(parsed.URIs) > 0 {
		return errors.New("a client certificate has no alternative names")
	}
	return usages(request, certificatesv1.UsageClientAuth)
}

// decideServing allows a node a serving certificate for its own name and address.
func decideServing(request *certificatesv1.CertificateSigningRequest, parsed *x509.CertificateRequest, machine *v1alpha1.Machine) error {
	if err := isNode(request, machine); err != nil {
		return err
	}
	for _, name := range parsed.DNSNames {
		if name != machine.Spec.NodeName {
			return fmt.Errorf("DNS name %q is not that of node %s", name, machine.Spec.NodeName)
		}
	}
	for _, address := range parsed.IPAddresses {
		if address.String() != machine.Spec.Address {
			return fmt.Errorf("address %s is not that of node %s", address, machine.Spec.NodeName)
		}
	}
	if len(parsed.EmailAddresses)+len(parsed.URIs) > 0 {
		return errors.New("a serving certificate has no e-mail addresses or URIs")
	}
	if len(parsed.DNSNames)+len(parsed.IPAddresses) == 0 {
		return errors.New("a serving certificate needs a name or an address")
	}
	return usages(request, certificatesv1.UsageServerAuth)
}

// isNode says that the requester is the machine's node.
func isNode(request *certificatesv1.CertificateSigningRequest, machine *v1alpha1.Machine) error {
	if request.Spec.Username != nodeUserPrefix+machine.Spec.NodeName || !slices.Contains(request.Spec.Groups, nodesGroup) {
		return fmt.Errorf("%s may not ask for a certificate of node %s", request.Spec.Username, machine.Spec.NodeName)
	}
	return nil
}

// usages allows exactly the purpose and a signature; key encipherment goes with RSA keys.
func usages(request *certificatesv1.CertificateSigningRequest, purpose certificatesv1.KeyUsage) error {
	needed := map[certificatesv1.KeyUsage]bool{purpose: false, certificatesv1.UsageDigitalSignature: false}
	for _, usage := range request.Spec.Usages {
		if _, ok := needed[usage]; ok {
			needed[usage] = true
		} else if usage != certificatesv1.UsageKeyEncipherment {
			return fmt.Errorf("usage %q is not one of a kubelet's", usage)
		}
	}
	for usage, given := range needed {
		if !given {
			return fmt.Errorf("usage %q is missing", usage)
		}
	}
	return nil
}
