package cli

import (
	"strings"
	"testing"
)

func TestAStepInAPathIsNoName(t *testing.T) {
	d := withCluster(t)
	for _, line := range []string{
		"aks nodepool delete -g rg --cluster-name demo -n ..", // the path of the cluster
		"aks nodepool delete -g rg --cluster-name demo --nodepool-name ..",
		"aks nodepool delete -g rg --cluster-name .. -n nodepool1",
		"aks delete -g .. -n demo --yes",
		"aks delete -g rg -n . --yes",
		"group delete -n .. --yes",
	} {
		if _, errs, code := d.run(strings.Fields(line)...); code != 2 || !strings.Contains(errs, "no name") {
			t.Errorf("%s: exit code %d: %s", line, code, errs)
		}
	}
	d.must("aks", "show", "-g", "rg", "-n", "demo")
}
