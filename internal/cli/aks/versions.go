package aks

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/semver"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

func newGetVersions(s *session.Session) *cobra.Command {
	var location string
	command := &cobra.Command{
		Use:   "get-versions",
		Short: "List the Kubernetes versions on offer",
		Args:  cobra.NoArgs,
		Example: `  berth aks get-versions --output table
  berth aks get-versions -l local --query "values[?isDefault].version" --output tsv`,
		RunE: func(command *cobra.Command, _ []string) error {
			service, err := s.Cloud()
			if err != nil {
				return err
			}
			clusters, err := s.ManagedClusters()
			if err != nil {
				return err
			}
			if location == "" {
				location = service.Location
			}
			result, err := clusters.ListKubernetesVersions(command.Context(), location, nil)
			if err != nil {
				return err
			}
			return s.Print(result.KubernetesVersionListResult, versionColumns())
		},
	}
	argument.Location(s, command, &location, "location (default: that of the service)")
	return command
}

// versionColumns are az's columns: a row for each patch, the newest first.
func versionColumns() output.Columns {
	return output.Columns{
		Rows: versionRows,
		Columns: []output.Column{
			{Header: "KubernetesVersion", Path: "version"},
			{Header: "IsPreview", Path: "isPreview"},
			{Header: "Upgrades", Path: "join(', ', upgrades) || 'None available'"},
			{Header: "SupportPlan", Path: "supportPlan && join(', ', supportPlan)"},
		},
	}
}

func versionRows(value any) []any {
	result, _ := value.(map[string]any)
	minors, _ := result["values"].([]any)
	var rows []any
	for _, minor := range minors {
		minor, _ := minor.(map[string]any)
		capabilities, _ := minor["capabilities"].(map[string]any)
		patches, _ := minor["patchVersions"].(map[string]any)
		for version, patch := range patches {
			patch, _ := patch.(map[string]any)
			upgrades, _ := patch["upgrades"].([]any)
			slices.SortFunc(upgrades, newestLast)
			rows = append(rows, map[string]any{
				"version": version, "upgrades": append([]any{}, upgrades...),
				"isPreview": minor["isPreview"], "supportPlan": capabilities["supportPlan"],
			})
		}
	}
	slices.SortFunc(rows, func(a, b any) int {
		return newestLast(b.(map[string]any)["version"], a.(map[string]any)["version"])
	})
	return rows
}

func newestLast(a, b any) int {
	left, _ := a.(string)
	right, _ := b.(string)
	return semver.Compare("v"+strings.TrimPrefix(left, "v"), "v"+strings.TrimPrefix(right, "v"))
}
