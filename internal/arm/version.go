package arm

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// VersionTable is the api-versions of a resource type.
type VersionTable struct {
	// ResourceType is the type as messages name it, e.g. managedClusters; empty
	// for ARM's own types.
	ResourceType string
	// Location is the region that messages name.
	Location string
	// Versions are the published versions, in lower case.
	Versions []string
}

// Check reads the api-version of a query and finds it in the table.
func (t *VersionTable) Check(query url.Values) (string, error) {
	var version string
	for name, values := range query {
		if strings.EqualFold(name, "api-version") && len(values) > 0 {
			version = strings.ToLower(values[0])
		}
	}
	switch {
	case version == "":
		return "", NewError(http.StatusBadRequest, "MissingApiVersionParameter",
			"The api-version query parameter (?api-version=) is required for all requests.").At("api-version")
	case slices.Contains(t.Versions, version):
		return version, nil
	case t.ResourceType == "":
		return "", NewError(http.StatusBadRequest, "InvalidApiVersionParameter",
			"The api-version '%s' is invalid. The supported versions are '%s'.", display(version), strings.Join(t.Versions, ",")).At("api-version")
	default:
		return "", NewError(http.StatusBadRequest, "NoRegisteredProviderFound",
			"No registered resource provider found for location '%s' and API version '%s' for type '%s'. The supported api-versions are '%s'. The supported locations are '%s'.",
			t.Location, display(version), t.ResourceType, strings.Join(t.Versions, ", "), t.Location).At("api-version")
	}
}
