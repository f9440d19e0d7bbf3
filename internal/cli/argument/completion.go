package argument

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/session"
	"berth.dev/berth/internal/machine"
)

// completionTimeout is how long a shell may hang on the tabulator key.
const completionTimeout = 1500 * time.Millisecond

// lookup finds the values that a flag may have.
type lookup func(ctx context.Context, s *session.Session, command *cobra.Command) ([]string, error)

// completion completes a flag's values with what the service has. Where that
// fails there are no values, and no words either: the shell is drawing a line.
func completion(s *session.Session, find lookup) cobra.CompletionFunc {
	return func(command *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx := command.Context()
		if ctx == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(ctx, completionTimeout)
		defer cancel()
		all, err := find(ctx, s, command)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var matching []string
		for _, value := range all {
			if strings.HasPrefix(strings.ToLower(value), strings.ToLower(prefix)) {
				matching = append(matching, value)
			}
		}
		return matching, cobra.ShellCompDirectiveNoFileComp
	}
}

func groupNames(ctx context.Context, s *session.Session, _ *cobra.Command) ([]string, error) {
	client, err := s.ResourceGroups()
	if err != nil {
		return nil, err
	}
	var names []string
	for pager := client.NewListPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, group := range page.Value {
			names = appendName(names, group.Name)
		}
	}
	return names, nil
}

// clusterNames are the clusters of the group that the command line names, of
// all groups if it names none.
func clusterNames(ctx context.Context, s *session.Session, command *cobra.Command) ([]string, error) {
	client, err := s.ManagedClusters()
	if err != nil {
		return nil, err
	}
	group := flagValue(command, "resource-group")
	var names []string
	for pager := client.NewListPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, cluster := range page.Value {
			if group == "" || cluster.ID != nil && strings.Contains(strings.ToLower(*cluster.ID), "/resourcegroups/"+strings.ToLower(group)+"/") {
				names = appendName(names, cluster.Name)
			}
		}
	}
	return names, nil
}

func poolNames(ctx context.Context, s *session.Session, command *cobra.Command) ([]string, error) {
	group, cluster := flagValue(command, "resource-group"), flagValue(command, "cluster-name")
	if cluster == "" { // a command on the cluster itself
		cluster = flagValue(command, "name")
	}
	if group == "" || cluster == "" {
		return nil, nil
	}
	client, err := s.AgentPools()
	if err != nil {
		return nil, err
	}
	var names []string
	for pager := client.NewListPager(group, cluster, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, pool := range page.Value {
			names = appendName(names, pool.Name)
		}
	}
	return names, nil
}

func kubernetesVersions(ctx context.Context, s *session.Session, _ *cobra.Command) ([]string, error) {
	service, err := s.Cloud()
	if err != nil {
		return nil, err
	}
	client, err := s.ManagedClusters()
	if err != nil {
		return nil, err
	}
	result, err := client.ListKubernetesVersions(ctx, service.Location, nil)
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, minor := range result.Values {
		versions = appendName(versions, minor.Version)
		versions = append(versions, slices.Sorted(maps.Keys(minor.PatchVersions))...)
	}
	return versions, nil
}

func locations(_ context.Context, s *session.Session, _ *cobra.Command) ([]string, error) {
	service, err := s.Cloud()
	return []string{service.Location}, err
}

func sizeNames() []string {
	var names []string
	for _, size := range machine.Sizes() {
		names = append(names, size.Name)
	}
	return names
}

func appendName(names []string, name *string) []string {
	if name == nil {
		return names
	}
	return append(names, *name)
}

func flagValue(command *cobra.Command, name string) string {
	if flag := command.Flags().Lookup(name); flag != nil {
		return flag.Value.String()
	}
	return ""
}

// CompletePoolName completes a flag with the node pools of the cluster that the
// command line names.
func CompletePoolName(s *session.Session, command *cobra.Command, flag string) {
	must(command.RegisterFlagCompletionFunc(flag, completion(s, poolNames)))
}
