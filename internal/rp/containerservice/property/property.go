// Package property is the one table of what the API's properties are and what
// the service does with each: it acts, is inert, is refused, or is the
// service's own to say. Reading a body, the tests and docs/compatibility.md all
// come from it. It holds no rule about values but those that a line can say.
package property

import "berth.dev/berth/internal/arm"

// Tables are the tables by resource type.
func Tables() map[string][]arm.Property {
	return map[string][]arm.Property{
		"managedClusters": Cluster(), "managedClusters/agentPools": Pool(), "managedClusters/maintenanceConfigurations": Maintenance(),
	}
}

// Tags is the table of a body that only sets tags.
func Tags() []arm.Property {
	return []arm.Property{acts("tags", arm.Map), acts("tags{}", arm.String)}
}

// The forms that several properties have.
const (
	anID       = `(?i)^/subscriptions/[^/]+/(resourceGroups/[^/]+/)?providers/[^/]+(/[^/]+/[^/]+)+$`
	idForm     = "the id of a resource, /subscriptions/…/providers/…"
	aGUID      = `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`
	guidForm   = "a GUID"
	aURL       = `(?i)^https?://[^/\s]+[^\s]*$`
	urlForm    = "a URL, http:// or https://"
	aShare     = `^[0-9]{1,4}%?$`
	shareForm  = "a number of nodes or a percentage, e.g. 2 or 33%"
	inBase64   = `^[A-Za-z0-9+/\r\n]+={0,2}\s*$`
	base64Form = "encoded in base64"
)

func acts(path string, kind arm.Kind) arm.Property { return arm.Property{Path: path, Kind: kind} }

// only is a property that accepts one value, for which there is a rule in code.
func only(path string, kind arm.Kind, note string) arm.Property {
	return arm.Property{Path: path, Kind: kind, Note: note}
}

func readOnly(path string) arm.Property {
	return arm.Property{Path: path, Kind: arm.Any, Use: arm.ReadOnly}
}

func inert(path string, kind arm.Kind, why string) arm.Property {
	return arm.Property{Path: path, Kind: kind, Use: arm.Inert, Note: why}
}

func refused(path string, kind arm.Kind, note string) arm.Property {
	return arm.Property{Path: path, Kind: kind, Use: arm.Refused, Note: note}
}

// inertOnly refuses all values but those that ask for what is there anyway;
// these are kept and given back.
func inertOnly(path string, kind arm.Kind, note string, neutral ...any) arm.Property {
	return arm.Property{Path: path, Kind: kind, Use: arm.Refused, Note: note, Neutral: neutral}
}
