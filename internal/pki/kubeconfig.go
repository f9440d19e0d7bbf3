package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// KubeconfigOptions is what a kubeconfig with one context says. Certificates
// and keys are embedded, but for CAFile, so that the file can be moved.
type KubeconfigOptions struct {
	// Cluster, User and Context are the names of the three entries; User
	// defaults to "default", Context to Cluster.
	Cluster, User, Context string
	// Server is the URL of the API server.
	Server string
	// CA, or the file CAFile, verifies the server.
	CA     []byte
	CAFile string
	// ClientCert and ClientKey, or Token, identify the user.
	ClientCert, ClientKey []byte
	Token                 string
}

// Kubeconfig writes a kubeconfig. It holds secrets: whoever stores it gives it mode 0600.
func Kubeconfig(options KubeconfigOptions) ([]byte, error) {
	user, context := options.User, options.Context
	if user == "" {
		user = "default"
	}
	if context == "" {
		context = options.Cluster
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[options.Cluster] = &clientcmdapi.Cluster{Server: options.Server, CertificateAuthorityData: options.CA, CertificateAuthority: options.CAFile}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{
		ClientCertificateData: options.ClientCert,
		ClientKeyData:         options.ClientKey,
		Token:                 options.Token,
	}
	config.Contexts[context] = &clientcmdapi.Context{Cluster: options.Cluster, AuthInfo: user}
	config.CurrentContext = context
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return data, nil
}
