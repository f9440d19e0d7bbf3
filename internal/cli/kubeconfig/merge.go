// Package kubeconfig puts a cluster's credentials into the user's kubeconfig
// file, with the rules of "az aks get-credentials". It keeps everything else
// in the file, and leaves either the old file or the whole new one.
package kubeconfig

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// ErrDifferent says that the file has another object of the same name.
var ErrDifferent = errors.New("a different object of that name is in your kubeconfig file")

// ErrMalformed says that a text is not a kubeconfig.
var ErrMalformed = errors.New("not a kubeconfig")

// Options say how credentials are merged.
type Options struct {
	// Context is the name for context and cluster; empty keeps the service's.
	Context string
	// Overwrite replaces different objects of the same name.
	Overwrite bool
}

// Merge adds credentials to the text of a kubeconfig file, which may be empty.
// It returns the new text and the name of the context, which becomes the
// current one.
func Merge(existing, credentials []byte, options Options) (merged []byte, context string, err error) {
	addition, err := parse(credentials)
	if err != nil {
		return nil, "", fmt.Errorf("reading the credentials: %w", err)
	}
	config, err := parse(existing)
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig file: %w", err)
	}
	if err := rename(addition, options.Context); err != nil {
		return nil, "", err
	}
	renewal := options.Overwrite || isRenewal(config, addition)
	err = errors.Join(
		mergeObjects("cluster", config.Clusters, addition.Clusters, options.Overwrite),
		mergeObjects("user", config.AuthInfos, addition.AuthInfos, renewal),
		mergeObjects("context", config.Contexts, addition.Contexts, options.Overwrite),
	)
	if err != nil {
		return nil, "", err
	}
	config.CurrentContext = addition.CurrentContext
	merged, err = clientcmd.Write(*config)
	return merged, addition.CurrentContext, err
}

func parse(text []byte) (*api.Config, error) {
	config, err := clientcmd.Load(text)
	if err != nil {
		// The parser's own message may quote the text, secrets and all.
		return nil, ErrMalformed
	}
	return config, nil
}

// rename gives the context its name: the caller's, if there is one, and
// "-admin" behind it if its user is the cluster's admin, so that the admin's
// and the user's contexts of one cluster lie side by side.
func rename(config *api.Config, name string) error {
	old := config.CurrentContext
	context := config.Contexts[old]
	if context == nil || config.Clusters[context.Cluster] == nil {
		return fmt.Errorf("reading the credentials: %w with a current context", ErrMalformed)
	}
	if name != "" {
		cluster := config.Clusters[context.Cluster]
		delete(config.Clusters, context.Cluster)
		config.Clusters[name], context.Cluster = cluster, name
	} else {
		name = old
	}
	if strings.HasPrefix(context.AuthInfo, "clusterAdmin") {
		name += "-admin"
	}
	delete(config.Contexts, old)
	config.Contexts[name], config.CurrentContext = context, name
	return nil
}

// isRenewal says that the file's context of that name is the addition's, for
// the same cluster: a fresh certificate of its user replaces nothing that is
// different. The service issues one at each call.
func isRenewal(config, addition *api.Config) bool {
	name := addition.CurrentContext
	context := addition.Contexts[name]
	return same(config.Contexts[name], context) && same(config.Clusters[context.Cluster], addition.Clusters[context.Cluster])
}

// mergeObjects puts the objects of addition among those of config.
func mergeObjects[T any](kind string, config, addition map[string]T, overwrite bool) error {
	var conflicts error
	for name, object := range addition {
		if present, ok := config[name]; ok && !overwrite && !same(present, object) {
			conflicts = errors.Join(conflicts, fmt.Errorf("%w: %s %q", ErrDifferent, kind, name))
		}
		config[name] = object
	}
	return conflicts
}

// same compares two objects, where an empty map is none.
func same[T any](a, b T) bool { return equality.Semantic.DeepEqual(a, b) }
