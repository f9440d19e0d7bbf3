// Package release has the commands about Kubernetes releases: which there are,
// which are built, and building one ahead of its first use. They need no
// running service; they work on the cache of this host.
package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/release"
)

// NewCommand returns `berth release` with the commands below it.
func NewCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "release",
		Short: "List, build and carry the Kubernetes releases that clusters run",
		Example: `  berth release list
  berth release build 1.35`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(newListCommand(), newBuildCommand(), newPathCommand(), newVerifyCommand(), newExportCommand(), newImportCommand())
	return command
}

// output is how a command prints.
type output string

const (
	outputTable output = "table"
	outputJSON  output = "json"
)

// String, Set and Type make it a flag that takes nothing else.
func (o *output) String() string { return string(*o) }

// Set is part of pflag.Value.
func (o *output) Set(value string) error {
	if value != string(outputTable) && value != string(outputJSON) {
		return errors.New("use table or json")
	}
	*o = output(value)
	return nil
}

// Type is part of pflag.Value.
func (o *output) Type() string { return "table|json" }

// row is a version of the catalog as the commands print it.
type row struct {
	release.Version
	Built   bool     `json:"built"`
	Missing []string `json:"missing,omitempty"`
}

func newListCommand() *cobra.Command {
	format := outputTable
	command := &cobra.Command{
		Use:   "list",
		Short: "List the Kubernetes versions and whether they are built",
		Example: `  berth release list
  berth release list --output json`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			store, err := release.Open(release.Options{})
			if err != nil {
				return err
			}
			return printRows(command.OutOrStdout(), format, rows(store))
		},
	}
	command.Flags().VarP(&format, "output", "o", "output format: table or json")
	return command
}

func rows(store *release.Store) []row {
	var listed []row
	for _, version := range release.Versions() {
		_, built := store.Lookup(version.Version)
		listed = append(listed, row{Version: version, Built: built, Missing: store.Missing(version.Version)})
	}
	return listed
}

func printRows(to io.Writer, format output, rows []row) error {
	if format == outputJSON {
		return printJSON(to, rows)
	}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tMINOR\tDEFAULT\tSTATE")
	for _, row := range rows {
		state := "built"
		if !row.Built {
			state = fmt.Sprintf("%d parts to build", len(row.Missing))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", row.Version.Version, row.Minor, yes(row.Default), state)
	}
	return table.Flush()
}

func yes(value bool) string {
	if value {
		return "yes"
	}
	return ""
}

func printJSON(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
