// Package argument owns the flags that several commands have in common: their
// names as az has them, their defaults, and how a shell completes their
// values.
package argument

import (
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/session"
	"berth.dev/berth/internal/machine"
)

// The environment's defaults, as az has AZURE_DEFAULTS_GROUP and _LOCATION.
const (
	defaultGroup    = "BERTH_DEFAULTS_GROUP"
	defaultLocation = "BERTH_DEFAULTS_LOCATION"
)

// ResourceGroup adds --resource-group, -g, required unless the environment
// names a default.
func ResourceGroup(s *session.Session, command *cobra.Command, group *string) {
	OptionalResourceGroup(s, command, group)
	if *group = s.Getenv(defaultGroup); *group == "" {
		require(command, "resource-group")
	}
}

// OptionalResourceGroup adds --resource-group, -g.
func OptionalResourceGroup(s *session.Session, command *cobra.Command, group *string) {
	command.Flags().VarP((*nameValue)(group), "resource-group", "g", "name of the resource group")
	must(command.RegisterFlagCompletionFunc("resource-group", completion(s, groupNames)))
}

// GroupName adds --name, -n for a command on resource groups; az takes
// --resource-group, -g there, too.
func GroupName(s *session.Session, command *cobra.Command, name *string) {
	command.Flags().VarP((*nameValue)(name), "name", "n", "name of the resource group")
	command.Flags().VarP((*nameValue)(name), "resource-group", "g", "the same as --name")
	must(command.Flags().MarkHidden("resource-group"))
	must(command.RegisterFlagCompletionFunc("name", completion(s, groupNames)))
	must(command.RegisterFlagCompletionFunc("resource-group", completion(s, groupNames)))
	if *name = s.Getenv(defaultGroup); *name == "" {
		command.MarkFlagsOneRequired("name", "resource-group")
		command.Flags().Lookup("name").Usage += requiredMark
	}
}

// ClusterName adds the flag that names a managed cluster: --name, -n for
// commands on clusters, --cluster-name for those on node pools.
func ClusterName(s *session.Session, command *cobra.Command, flag string, name *string) {
	shorthand := ""
	if flag == "name" {
		shorthand = "n"
	}
	command.Flags().VarP((*nameValue)(name), flag, shorthand, "name of the managed cluster")
	require(command, flag)
	must(command.RegisterFlagCompletionFunc(flag, completion(s, clusterNames)))
}

// PoolName adds --name, -n and its other name, --nodepool-name, for commands
// on node pools.
func PoolName(s *session.Session, command *cobra.Command, name *string) {
	command.Flags().VarP((*nameValue)(name), "name", "n", "name of the node pool")
	command.Flags().Var((*nameValue)(name), "nodepool-name", "the same as --name")
	must(command.Flags().MarkHidden("nodepool-name"))
	command.MarkFlagsOneRequired("name", "nodepool-name")
	command.Flags().Lookup("name").Usage += requiredMark
	must(command.RegisterFlagCompletionFunc("name", completion(s, poolNames)))
	must(command.RegisterFlagCompletionFunc("nodepool-name", completion(s, poolNames)))
}

// OwnerPoolName adds --nodepool-name for commands on what is in a node pool.
func OwnerPoolName(s *session.Session, command *cobra.Command, name *string) {
	command.Flags().Var((*nameValue)(name), "nodepool-name", "name of the node pool")
	require(command, "nodepool-name")
	must(command.RegisterFlagCompletionFunc("nodepool-name", completion(s, poolNames)))
}

// Location adds --location, -l.
func Location(s *session.Session, command *cobra.Command, location *string, usage string) {
	command.Flags().StringVarP(location, "location", "l", s.Getenv(defaultLocation), usage)
	must(command.RegisterFlagCompletionFunc("location", completion(s, locations)))
}

// KubernetesVersion adds --kubernetes-version, -k.
func KubernetesVersion(s *session.Session, command *cobra.Command, version *string) {
	command.Flags().VarP((*versionValue)(version), "kubernetes-version", "k",
		"Kubernetes version as in 1.35 (its latest patch) or 1.35.4; see berth aks get-versions")
	must(command.RegisterFlagCompletionFunc("kubernetes-version", completion(s, kubernetesVersions)))
}

// NodeVMSize adds --node-vm-size, -s.
func NodeVMSize(command *cobra.Command, size *string) {
	command.Flags().StringVarP(size, "node-vm-size", "s", machine.DefaultSize, "size of each node")
	must(command.RegisterFlagCompletionFunc("node-vm-size",
		cobra.FixedCompletions(sizeNames(), cobra.ShellCompDirectiveNoFileComp)))
}

// NodeCount adds --node-count, -c.
func NodeCount(command *cobra.Command, count *int32, value int32) {
	command.Flags().Int32VarP(count, "node-count", "c", value, "number of nodes")
	must(command.RegisterFlagCompletionFunc("node-count", cobra.NoFileCompletions))
}

// NodeCountRequired adds --node-count, -c where there is no number to start from.
func NodeCountRequired(command *cobra.Command, count *int32) {
	NodeCount(command, count, 0)
	require(command, "node-count")
}

// NoWait adds --no-wait.
func NoWait(command *cobra.Command, noWait *bool) {
	command.Flags().BoolVar(noWait, "no-wait", false, "return as soon as the service has accepted the request")
}

// Yes adds --yes, -y.
func Yes(command *cobra.Command, yes *bool) {
	command.Flags().BoolVarP(yes, "yes", "y", false, "do not ask for confirmation")
}

// Choice adds a flag whose values are known and completed.
func Choice(command *cobra.Command, value *string, name, usage string, choices ...string) {
	command.Flags().Var(&choiceValue{value: value, choices: choices}, name, usage)
	must(command.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)))
}

// requiredMark shows in the help which flags a command cannot do without.
const requiredMark = " [required]"

// Require makes a flag of the command one that it cannot do without.
func Require(command *cobra.Command, flag string) { require(command, flag) }

func require(command *cobra.Command, flag string) {
	must(command.MarkFlagRequired(flag))
	command.Flags().Lookup(flag).Usage += requiredMark
}

// must stops the program where a command's own flags contradict each other:
// the tree of commands is built the same way in every run, and tests build it.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
