package aks

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

// defaultNodeCount is az's.
const defaultNodeCount = 3

func newCreate(s *session.Session) *cobra.Command {
	flags := createFlags{tags: map[string]*string{}, nodepoolLabels: map[string]*string{}, nodepoolTags: map[string]*string{}}
	command := &cobra.Command{
		Use:   "create",
		Short: "Create a managed cluster and wait until it serves",
		Args:  cobra.NoArgs,
		Example: `  berth aks create --resource-group demo --name demo --node-count 1
  berth aks create -g demo -n big -c 2 -s Standard_D4s_v5 --kubernetes-version 1.35
  berth aks create -g demo -n spread -c 3 --zones 1 2 3
  berth aks create -g demo -n own --pod-cidr 10.1.0.0/16 --service-cidr 10.2.0.0/16 --dns-service-ip 10.2.0.10
  berth aks create -g demo -n joined --network-plugin azure --vnet-subnet-id /subscriptions/ID/resourceGroups/demo/providers/Microsoft.Network/virtualNetworks/own/subnets/nodes
  berth aks create -g demo -n later --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return create(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	return command
}

// bind adds the flags of "berth aks create".
func (f *createFlags) bind(s *session.Session, command *cobra.Command) {
	argument.ResourceGroup(s, command, &f.group)
	argument.ClusterName(s, command, "name", &f.name)
	argument.Location(s, command, &f.location, "location of the cluster (default: that of its resource group)")
	argument.KubernetesVersion(s, command, &f.kubernetesVersion)
	argument.NodeCount(command, &f.nodeCount, defaultNodeCount)
	argument.NodeVMSize(command, &f.nodeVMSize)
	argument.Pairs(command, f.tags, "tags", "tags, parted by blanks: key[=value] ...")
	argument.Pairs(command, f.nodepoolLabels, "nodepool-labels", "Kubernetes labels of the nodes, parted by blanks: key=value ...")
	argument.Pairs(command, f.nodepoolTags, "nodepool-tags", "tags of the node pool, parted by blanks: key[=value] ...")
	argument.Words(command, &f.nodepoolTaints, "nodepool-taints", "Kubernetes taints of the nodes: key=value:effect, ...")
	argument.Words(command, &f.zones, "zones", "failure domains that the nodes are spread over, parted by blanks: 1 2 3")
	argument.Choice(command, &f.tier, "tier", "tier of the cluster's management: free, standard or premium", "free", "standard", "premium")
	f.network.bind(command)
	argument.NoWait(command, &f.noWait)
	own := command.Flags()
	own.StringVar(&f.nodepoolName, "nodepool-name", "nodepool1", "name of the first node pool")
	own.StringVarP(&f.dnsNamePrefix, "dns-name-prefix", "p", "", "prefix of the cluster's host name (default: made of name, group and subscription)")
	own.Int32Var(&f.nodeOSDiskSize, "node-osdisk-size", 0, "size of each node's disk in GB (0: the service's default)")
	own.Int32VarP(&f.maxPods, "max-pods", "m", 0, "pods on a node at most (0: the service's default)")
	ignored := "accepted because az has it; "
	own.Bool("generate-ssh-keys", false, ignored+"nodes take no SSH logins here")
	own.BoolP("no-ssh-key", "x", false, ignored+"nodes take no SSH logins here")
	own.Bool("enable-managed-identity", false, ignored+"every cluster has a managed identity here")
	own.BoolP("yes", "y", false, ignored+"nothing is asked here")
}

func create(ctx context.Context, s *session.Session, flags createFlags) error {
	service, err := s.Cloud()
	if err != nil {
		return err
	}
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	if flags.location, err = location(ctx, s, flags); err != nil {
		return err
	}
	if err := mustBeNew(ctx, s, flags); err != nil {
		return err
	}
	poller, err := clusters.BeginCreateOrUpdate(ctx, flags.group, flags.name, flags.cluster(service.SubscriptionID), nil)
	if err != nil || flags.noWait {
		return err
	}
	result, err := operation.Wait(ctx, s, poller, operation.Words{
		What: "Creating cluster " + flags.name,
		Look: target{flags.group, flags.name}.look(),
	})
	if err != nil {
		return err
	}
	return s.PrintResource(result.ManagedCluster, columns())
}

// location is that of the group, unless one is given.
func location(ctx context.Context, s *session.Session, flags createFlags) (string, error) {
	if flags.location != "" {
		return flags.location, nil
	}
	groups, err := s.ResourceGroups()
	if err != nil {
		return "", err
	}
	group, err := groups.Get(ctx, flags.group, nil)
	if err != nil {
		return "", err
	}
	if group.Location == nil {
		return "", errors.New("the resource group has no location: use --location")
	}
	return *group.Location, nil
}

// mustBeNew refuses to create what is there, as az does: the same request
// would otherwise change a cluster in ways that nobody asked for.
func mustBeNew(ctx context.Context, s *session.Session, flags createFlags) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	_, err = clusters.Get(ctx, flags.group, flags.name, nil)
	var response *azcore.ResponseError
	switch {
	case err == nil:
		return fmt.Errorf("the cluster %q in the resource group %q exists already: choose another name, wait for it with `berth aks wait --created`, or change it with `berth aks scale` and `berth aks nodepool`",
			flags.name, flags.group)
	case errors.As(err, &response) && response.StatusCode == http.StatusNotFound:
		return nil // the request itself says if it is the group that is missing
	default:
		return err
	}
}
