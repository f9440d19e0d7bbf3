package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestStopStartAndAbortPostAndWait(t *testing.T) {
	for command, action := range map[string]string{
		"aks stop -g rg -n demo":            "demo/stop",
		"aks start -g rg -n demo":           "demo/start",
		"aks operation-abort -g rg -n demo": "managedclusters/demo/abort",
		"aks nodepool operation-abort -g rg --cluster-name demo -n nodepool1":      "agentPools/nodepool1/abort",
		"aks nodepool operation-abort -g rg --cluster-name demo --nodepool-name p": "agentPools/p/abort",
	} {
		t.Run(command, func(t *testing.T) {
			d := withCluster(t)
			d.requests = nil
			_, errs, code := d.run(strings.Fields(command)...)
			if code != 0 || !strings.Contains(errs, "Succeeded") {
				t.Fatalf("exit code %d: %s", code, errs)
			}
			posted := slices.IndexFunc(d.requests, func(r string) bool {
				return strings.HasPrefix(r, "POST ") && strings.HasSuffix(strings.ToLower(r), strings.ToLower(action))
			})
			polled := slices.IndexFunc(d.requests, func(r string) bool { return strings.Contains(r, "/operations/") })
			if posted < 0 || polled < posted {
				t.Errorf("sent %v", d.requests)
			}
			d.requests = nil
			if _, errs, code := d.run(append(strings.Fields(command), "--no-wait")...); code != 0 || len(d.requests) != 1 {
				t.Errorf("without waiting: exit code %d, sent %v: %s", code, d.requests, errs)
			}
		})
	}
}
