// Package network is "berth network": what a customer sees of the networks of a
// cluster. What makes and changes networks are the commands of az.
package network

import (
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth network".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:     "network",
		Short:   "See what networks do with packets",
		Example: `  berth network trace 10.244.0.7 10.224.0.5 --resource-group demo --name demo --port 443 --output table`,
	}
	s.AddFlags(command)
	command.AddCommand(newTrace(s))
	return command
}

type traceFlags struct {
	group, name, protocol string
	port                  uint16
}

func newTrace(s *session.Session) *cobra.Command {
	var flags traceFlags
	command := &cobra.Command{
		Use:   "trace FROM TO",
		Short: "Say hop by hop what lets a packet through or stops it",
		Long: `Say hop by hop what lets the first packet of a connection through or stops it: the rules
of security groups, routes, balancers, authorized ranges and the way out of the network.
FROM is a node of the cluster, or the address of a node or pod; TO is a node or any
address. It says what the networks are told to do, and sends nothing. Network policies
inside the cluster are not looked at: those are the pods' own network's.`,
		Args: cobra.ExactArgs(2), //nolint:mnd // the two ends
		Example: `  berth network trace aks-nodepool1-12345678-vmss000000 10.224.0.5 -g demo -n demo --port 10250
  berth network trace 10.244.0.7 203.0.113.9 -g demo -n demo --port 443 --output table
  berth network trace 10.244.0.7 10.224.0.5 -g demo -n demo --protocol udp --port 53 --query verdict --output tsv`,
		RunE: func(command *cobra.Command, ends []string) error { return run(command, s, flags, ends) },
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	command.Flags().StringVar(&flags.protocol, "protocol", "tcp", "tcp, udp or icmp")
	command.Flags().Uint16Var(&flags.port, "port", 0, "destination port of tcp and udp")
	return command
}

func run(command *cobra.Command, s *session.Session, flags traceFlags, ends []string) error {
	protocol := map[string]string{"tcp": "Tcp", "udp": "Udp", "icmp": "Icmp"}[strings.ToLower(flags.protocol)]
	if protocol == "" {
		return failure.Usage("--protocol %s is not tcp, udp or icmp.", flags.protocol)
	}
	if flags.port == 0 && protocol != "Icmp" {
		return failure.Usage("--port is missing: to which port of %s is the packet sent?", ends[1])
	}
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	ctx := command.Context()
	response, err := extension.Do(ctx, http.MethodPost, extension.Cluster(flags.group, flags.name, "traceNetwork"),
		map[string]any{"from": ends[0], "to": ends[1], "protocol": protocol, "port": flags.port})
	if err != nil {
		return err
	}
	var body map[string]any
	if err := runtime.UnmarshalAsJSON(response, &body); err != nil {
		return err
	}
	return s.Print(body, output.Columns{Rows: rows, Columns: []output.Column{
		{Header: "Where", Path: "where"}, {Header: "What", Path: "what"}, {Header: "Says", Path: "says"},
	}})
}

// rows are the hops, and the verdict as the last.
func rows(value any) []any {
	body, _ := value.(map[string]any)
	hops, _ := body["hops"].([]any)
	return append(hops, map[string]any{"where": body["to"], "what": "verdict", "says": body["verdict"]})
}
