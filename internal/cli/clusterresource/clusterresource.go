// Package clusterresource owns what the commands for Berth's own resources below
// a managed cluster have in common: the flags that name one, the requests, and
// the commands that show, list and delete them.
package clusterresource

import (
	"context"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// Kind is one kind of these resources.
type Kind struct {
	// Collection is its name in ids, e.g. powerSchedules.
	Collection string
	// Noun is what people call one, e.g. schedule.
	Noun string
	// Columns are those of a table of them.
	Columns output.Columns
	// Name adds the flag that names one.
	Name func(command *cobra.Command, name *string)
}

// Text is what a command says of itself.
type Text struct{ Short, Example string }

// Target names the resource that a command works on.
type Target struct{ collection, group, cluster, name string }

// Bind adds the flags that name one resource.
func (k Kind) Bind(s *session.Session, command *cobra.Command, target *Target) *cobra.Command {
	k.Name(command, &target.name)
	return k.bindCluster(s, command, target)
}

func (k Kind) bindCluster(s *session.Session, command *cobra.Command, target *Target) *cobra.Command {
	target.collection = k.Collection
	argument.ResourceGroup(s, command, &target.group)
	argument.ClusterName(s, command, "cluster-name", &target.cluster)
	return command
}

// Put makes the resource what properties say and prints it.
func (k Kind) Put(ctx context.Context, s *session.Session, target Target, properties map[string]any) error {
	var made map[string]any
	if err := target.call(ctx, s, http.MethodPut, map[string]any{"properties": properties}, &made); err != nil {
		return err
	}
	return s.Print(made, k.Columns)
}

// Show is the command that shows one.
func (k Kind) Show(s *session.Session, text Text) *cobra.Command {
	var target Target
	return k.Bind(s, &cobra.Command{
		Use: "show", Short: text.Short, Example: text.Example, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var found map[string]any
			if err := target.call(command.Context(), s, http.MethodGet, nil, &found); err != nil {
				return err
			}
			return s.Print(found, k.Columns)
		},
	}, &target)
}

// List is the command that lists those of a cluster, which has fewer than a page holds.
func (k Kind) List(s *session.Session, text Text) *cobra.Command {
	var target Target
	return k.bindCluster(s, &cobra.Command{
		Use: "list", Short: text.Short, Example: text.Example, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var page struct {
				Value []map[string]any `json:"value"`
			}
			if err := target.call(command.Context(), s, http.MethodGet, nil, &page); err != nil {
				return err
			}
			return s.Print(page.Value, k.Columns)
		},
	}, &target)
}

// Delete is the command that deletes one, and asks before.
func (k Kind) Delete(s *session.Session, text Text) *cobra.Command {
	var target Target
	var yes bool
	command := k.Bind(s, &cobra.Command{
		Use: "delete", Short: text.Short, Example: text.Example, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if !yes {
				if err := s.Confirm(command.Context(), "Delete the "+k.Noun+" "+target.name+" of cluster "+target.cluster+"?"); err != nil {
					return err
				}
			}
			return target.call(command.Context(), s, http.MethodDelete, nil, nil)
		},
	}, &target)
	argument.Yes(command, &yes)
	return command
}

// call sends a request and decodes the answer, where there is to be one.
func (t Target) call(ctx context.Context, s *session.Session, method string, body, into any) error {
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	what := t.collection
	if t.name != "" {
		what += "/" + url.PathEscape(t.name)
	}
	response, err := extension.Do(ctx, method, extension.Cluster(t.group, t.cluster, what), body)
	if err != nil || into == nil {
		return err
	}
	return runtime.UnmarshalAsJSON(response, into)
}
