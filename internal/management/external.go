package management

import (
	"context"
	"fmt"
	"io/fs"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// External is how to reach a Kubernetes cluster that somebody else runs and
// that is to be the management API, by the current context of a kubeconfig.
func External(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of the management API: %w", err)
	}
	config.QPS = -1 // the API server protects itself
	return config, nil
}

// ApplySharedDefinitions is ApplyDefinitions for a management API that several
// processes start on and whose API server may have replicas: nothing is done
// that takes for granted that it is alone.
func ApplySharedDefinitions(ctx context.Context, config *rest.Config, files fs.FS) error {
	return apply(ctx, config, files, true)
}
