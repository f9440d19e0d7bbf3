package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aSuite is a program that lists specs as upstream's tests do: unless it is
// given a focus, those with a feature in their names count as skipped.
const aSuite = `#!/bin/sh
state=skipped
for argument; do
  case "$argument" in
    --ginkgo.focus=*) state=passed ;;
    --ginkgo.json-report=*) report="${argument#*=}" ;;
  esac
done
cat >"$report" <<END
[{"SpecReports": [
  {"LeafNodeType": "It", "LeafNodeText": "[sig-network] Services should last", "LeafNodeLabels": ["Serial"], "State": "passed"},
  {"LeafNodeType": "It", "LeafNodeText": "[sig-network] LoadBalancers [Feature:LoadBalancer] should balance",
   "LeafNodeLabels": ["Feature:LoadBalancer"], "State": "$state"},
  {"LeafNodeType": "It", "LeafNodeText": "[sig-network] Ingress should never", "State": "pending"}
]}]
END
`

func TestSpecsOfFeaturesAreListedAndSerialOnesComeLast(t *testing.T) {
	tests := filepath.Join(t.TempDir(), "e2e.test")
	if err := os.WriteFile(tests, []byte(aSuite), 0o755); err != nil {
		t.Fatal(err)
	}
	specs, err := listSpecs(t.Context(), tests, suiteNetwork, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(specs) != 2 || !strings.Contains(specs[0].Name, "LoadBalancers") || !specs[1].Serial {
		t.Errorf("listed are %+v", specs)
	}
	if _, err := listSpecs(t.Context(), tests, suiteNetwork, "nothing"); err == nil {
		t.Error("a focus that no spec has is no error")
	}
}

func TestThePageListsEveryExceptionWithItsReason(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exceptions() {
		line := "| " + e.text + " | " + e.reason + " |"
		if e.label != "" {
			line = "| `[" + e.label + "]` | " + e.reason + " |"
		}
		if !strings.Contains(string(page), line) {
			t.Errorf("docs/conformance.md has no line %s", line)
		}
	}
}
