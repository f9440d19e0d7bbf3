package output

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// clusters is a list of managed clusters as the SDK has them.
const clusters = `[{
  "id": "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/demo",
  "name": "demo", "location": "local", "type": "Microsoft.ContainerService/ManagedClusters",
  "tags": {"note": "<a> & \"b\""},
  "properties": {"provisioningState": "Succeeded", "fqdn": "demo-abcd1234.hcp.local.berth.internal", "enableRBAC": true,
    "agentPoolProfiles": [{"name": "nodepool1", "count": 3, "maxPods": 110, "spotMaxPrice": -1.5}], "privateFQDN": null}
}, {
  "id": "/subscriptions/s/resourceGroups/other/providers/Microsoft.ContainerService/managedClusters/second",
  "name": "second", "location": "local", "type": "Microsoft.ContainerService/ManagedClusters",
  "properties": {"provisioningState": "Creating", "type": "hidden"}
}]`

func TestResultsLookAsThoseOfAz(t *testing.T) {
	update := flag.Lookup("update").Value.String() == "true"
	columns := Columns{Columns: []Column{{"Name", "name"}, {"ResourceGroup", "resourceGroup"}, {"Pools", "length(agentPoolProfiles || `[]`)"}, {"Fqdn", "fqdn"}}}
	tests := []struct {
		name, query string
		format      Format
		color       bool
	}{
		{"list", "", JSON, false},
		{"list-colored", "", JSONC, true},
		{"list-table", "", Table, false},
		{"list-tsv", "", TSV, false},
		{"list-yaml", "", YAML, false},
		{"query-list-table", "[].{State: provisioningState, Name: name, Pools: agentPoolProfiles, Price: agentPoolProfiles[0].spotMaxPrice}", Table, false},
		{"query-list-tsv", "[].{state: provisioningState, name: name, pools: agentPoolProfiles, tags: tags, rbac: enableRBAC}", TSV, false},
		{"query-rows-table", "[].[name, location]", Table, false},
		{"query-words-table", "[].name", Table, false},
		{"query-word-json", "[0].provisioningState", JSON, false},
		{"query-number-tsv", "[0].agentPoolProfiles[0].count", TSV, false},
		{"query-bool-tsv", "[0].enableRBAC", TSV, false},
		{"query-nothing", "[0].missing", JSON, false},
		{"query-empty-table", "[?name=='none']", Table, false},
		{"none", "", None, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var value any
			if err := json.Unmarshal([]byte(clusters), &value); err != nil {
				t.Fatal(err)
			}
			flat, err := Flatten(value)
			if err != nil {
				t.Fatal(err)
			}
			var query Query
			if test.query != "" {
				if err := query.Set(test.query); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			if err := (Printer{Out: &out, Format: test.format, Query: &query, Color: test.color}).Print(flat, columns); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", test.name+".txt")
			if update {
				if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
			}
		})
	}
}

// TestMain adds the flag that writes the golden files anew.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files anew")
	flag.Parse()
	os.Exit(m.Run())
}

func TestPropertiesThatHideTheEnvelopeAreRenamed(t *testing.T) {
	flat, err := Flatten(map[string]any{"type": "a/b", "properties": map[string]any{"type": "scale set", "count": 1}})
	if err != nil {
		t.Fatal(err)
	}
	got := flat.(map[string]any)
	if got["type"] != "a/b" || got["typePropertiesType"] != "scale set" || got["count"] != 1.0 || got["properties"] != nil {
		t.Errorf("Flatten() = %v", got)
	}
}

func TestWhatHasNoPlainCellsIsNoTable(t *testing.T) {
	var query Query
	if err := query.Set("[].{pools: agentPoolProfiles}"); err != nil {
		t.Fatal(err)
	}
	value := []any{map[string]any{"agentPoolProfiles": []any{map[string]any{}}}}
	err := Printer{Out: &strings.Builder{}, Format: Table, Query: &query}.Print(value, Columns{})
	if err == nil || !strings.Contains(err.Error(), "--query") {
		t.Errorf("Print() = %v, want %v", err, ErrNoTable)
	}
}

func TestColouringChangesNoCharacter(t *testing.T) {
	text := `{"a\"b": "c:d", "n": -1.5e3, "t": [true, false, null], "s": "say \"true\" 12"}`
	painted := string(colored([]byte(text)))
	for _, color := range []string{colorReset, colorKey, colorString, colorLiteral} {
		painted = strings.ReplaceAll(painted, color, "")
	}
	if painted != text {
		t.Errorf("without its colours the text is %s, was %s", painted, text)
	}
}

func TestFormatsAreTakenInAnyCase(t *testing.T) {
	var format Format
	if err := format.Set("TABLE"); err != nil || format != Table {
		t.Errorf("Set(TABLE) = %v, format %q", err, format)
	}
	if err := format.Set("xml"); err == nil || format != Table {
		t.Errorf("Set(xml) = %v, format %q", err, format)
	}
}
