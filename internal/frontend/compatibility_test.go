package frontend

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/rp/activity"
	"berth.dev/berth/internal/rp/authorization"
	"berth.dev/berth/internal/rp/backup"
	"berth.dev/berth/internal/rp/containerservice"
	"berth.dev/berth/internal/rp/containerservice/property"
	"berth.dev/berth/internal/rp/managedidentity"
	"berth.dev/berth/internal/rp/network"
	"berth.dev/berth/internal/rp/network/addressspace"
	"berth.dev/berth/internal/rp/network/route"
	"berth.dev/berth/internal/rp/network/securityrule"
	"berth.dev/berth/internal/rp/nodegroup"
	"berth.dev/berth/internal/rp/principal"
	"berth.dev/berth/internal/rp/resources"
)

// page is where the generated page lies.
const page = "../../docs/compatibility.md"

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files anew")
	flag.Parse()
	os.Exit(m.Run())
}

func TestTheCompatibilityPageSaysWhatTheTablesSay(t *testing.T) {
	got := renderPage(t)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(page, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(string(want), string(got)); difference != "" {
		t.Errorf("%s is stale (make generate writes it anew):\n%s", filepath.Clean(page), difference)
	}
}

func renderPage(t *testing.T) []byte {
	t.Helper()
	clusters, err := containerservice.NewProvider(containerservice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &frontend{config: Config{Tokens: &identity.Service{}}, resources: &resources.Provider{}, roles: &authorization.Provider{}, clients: &principal.Provider{}, backups: &backup.Provider{}, identities: &managedidentity.Provider{}, networks: &network.Provider{}, nodes: &nodegroup.Provider{}, activity: &activity.Provider{}}
	var served, notBuilt []arm.Route
	for _, route := range f.routes(clusters) {
		if route.NotBuilt != "" {
			notBuilt = append(notBuilt, route)
		} else {
			served = append(served, route)
		}
	}
	types := clusters.ResourceTypes()
	properties := property.Tables()
	functions := template.FuncMap{"who": who, "first": first, "last": last, "short": short}
	text, err := template.New("compatibility.md.tmpl").Funcs(functions).
		ParseFiles(filepath.Join("testdata", "compatibility.md.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = text.Execute(&out, map[string]any{
		"Served": served, "NotBuilt": notBuilt, "Prefixes": prefixes(),
		"Cluster": rows(properties["managedClusters"], "properties.agentPoolProfiles[]."), "Pool": rows(properties["managedClusters/agentPools"], ""),
		"Maintenance":     rows(properties["managedClusters/maintenanceConfigurations"], ""),
		"ClusterVersions": types["managedClusters"], "ResourceVersions": sorted(resources.Versions()),
		"Others":   others(),
		"Releases": release.Versions(), "Sizes": machine.Sizes(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// others are the tables of the resource types that are not Microsoft.ContainerService's.
func others() []table {
	return []table{
		{"a resource group", rows(resources.GroupProperties(), "")},
		{"a user-assigned identity", rows(managedidentity.Properties(), "")},
		{"a virtual network", rows(addressspace.NetworkProperties(), "")},
		{"a network security group", rows(securityrule.GroupProperties(), "")},
		{"a route table", rows(route.TableProperties(), "")},
		{"a public IP address", rows(network.AddressProperties(), "")},
		{"a public IP prefix", rows(network.PrefixProperties(), "")},
		{"a federated credential of an identity", rows(managedidentity.CredentialProperties(), "")},
		{"a role assignment", rows(authorization.AssignmentProperties(), "")},
		{"a role definition", rows(authorization.DefinitionProperties(), "")},
	}
}

// table is one of the page's tables of properties.
type table struct {
	Name string
	Rows []row
}

func first(list []string) string { return list[0] }
func last(list []string) string  { return list[len(list)-1] }

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// prefix is a beginning that many paths share, and the word for it on the page.
type prefix struct{ Word, Path string }

// prefixes are those of the page, the longest last.
func prefixes() []prefix {
	const (
		subscription = "/subscriptions/{subscriptionID}"
		group        = subscription + "/resourceGroups/{resourceGroup}"
		provider     = "/providers/" + containerservice.Namespace
		cluster      = group + provider + "/managedClusters/{resourceName}"
	)
	return []prefix{
		{"SUBSCRIPTION", subscription}, {"GROUP", group}, {"AKS", subscription + provider}, {"LOCATION", subscription + provider + "/locations/{location}"},
		{"RESOURCE", group + "/providers/{namespace}/{type}/{name}"}, {"NESTED", group + "/providers/{namespace}/{type}/{name}/{childType}/{childName}"},
		{"AKS-IN-GROUP", group + provider}, {"CLUSTER", cluster}, {"POOL", cluster + "/agentPools/{agentPoolName}"},
	}
}

// short writes a path with the word for its beginning.
func short(path string) string {
	for _, p := range slices.Backward(prefixes()) {
		if rest, found := strings.CutPrefix(path, p.Path); found && (rest == "" || rest[0] == '/') {
			return p.Word + rest
		}
	}
	return path
}

// who says what a caller needs to use a route.
func who(route arm.Route) string {
	switch {
	case route.Public:
		return "nothing: public"
	case route.Action == "":
		return "a token"
	}
	return "`" + route.Action + "`"
}

// row is a property as the page shows it.
type row struct{ Path, Kind, Use, Note, Values string }

// rows sorts a table by what becomes of its properties. Lines that only hold
// others are left out, and what begins with skip, because the page shows it elsewhere.
func rows(table []arm.Property, skip string) []row {
	var byUse [4][]row
	for i, p := range table {
		if skip != "" && strings.HasPrefix(p.Path, skip) || holds(table[i+1:], p) {
			continue
		}
		byUse[rank(p)] = append(byUse[rank(p)], row{Path: p.Path, Kind: kind(table, p), Use: use(p), Note: p.Note, Values: p.Rule.String()})
	}
	return slices.Concat(byUse[:]...)
}

// holds says that a property acts only by what lies below it, or that the line
// of its list says all: the items of a list are shown in its place if more
// than their type is to be said of them.
func holds(after []arm.Property, p arm.Property) bool {
	if p.Use != arm.Acts {
		return false
	}
	if strings.HasSuffix(p.Path, "{}") || strings.HasSuffix(p.Path, "[]") && p.Kind != arm.Object {
		return true
	}
	for _, other := range after {
		below, isBelow := strings.CutPrefix(other.Path, p.Path)
		switch {
		case !isBelow || below == "":
		case below[0] == '.', below == "[]" && (other.Use != arm.Acts || other.Kind == arm.Object):
			return true
		}
	}
	return false
}

// rank orders what becomes of properties.
func rank(p arm.Property) int {
	return map[arm.Use]int{arm.Acts: 0, arm.Inert: 1, arm.Refused: 2, arm.ReadOnly: 3}[p.Use]
}

func use(p arm.Property) string {
	switch p.Use {
	case arm.Acts:
		return "acts"
	case arm.Inert:
		return "inert"
	case arm.ReadOnly:
		return "read-only"
	}
	if len(p.Neutral) == 0 {
		return "refused"
	}
	var allowed []string
	for _, value := range p.Neutral {
		allowed = append(allowed, fmt.Sprintf("`%v`", value))
	}
	return "refused but for " + strings.Join(allowed, ", ")
}

func kind(table []arm.Property, p arm.Property) string {
	if p.Use == arm.ReadOnly {
		return ""
	}
	names := map[arm.Kind]string{
		arm.String: "string", arm.Integer: "integer", arm.Number: "number", arm.Boolean: "boolean",
		arm.Object: "object", arm.Array: "list", arm.Map: "map", arm.Any: "any",
	}
	for _, item := range table {
		if item.Path == p.Path+"[]" || item.Path == p.Path+"{}" {
			return names[p.Kind] + " of " + names[item.Kind]
		}
	}
	return names[p.Kind]
}
