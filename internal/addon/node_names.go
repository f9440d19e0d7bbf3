package addon

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// NodeName is the name of a node with its address.
type NodeName struct {
	Name    string
	Address netip.Addr
}

// NodeNames is the ConfigMap by which the cluster's DNS answers for the names of
// its nodes, in the form of /etc/hosts.
func NodeNames(nodes []NodeName) *unstructured.Unstructured {
	sorted := slices.Clone(nodes)
	slices.SortFunc(sorted, func(a, b NodeName) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Address.Compare(b.Address)) })
	var hosts strings.Builder
	for _, node := range sorted {
		hosts.WriteString(node.Address.String() + " " + node.Name + "\n")
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": "kube-system", "name": "coredns-nodes"},
		"data":     map[string]any{"hosts": hosts.String()},
	}}
}
