//go:build e2e

package az

import (
	"strings"
	"testing"
)

// activity asks who made the cluster one, in the ways that az has.
func activity(t *testing.T) {
	who, err := service.run("berth", "ad", "sp", "list", "--query", "[].id", "-o", "tsv")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(az(t, "aks show -g apps -n one --query id -o tsv"))
	const query = " --query [?properties.verb=='Create']|[?resourceType.value=='Microsoft.ContainerService/managedClusters'].[status.value,caller,correlationId] -o tsv"
	created := strings.Fields(az(t, "monitor activity-log list --resource-id "+id+" --status Succeeded --offset 1h"+query))
	if len(created) != 3 || created[0] != "Succeeded" || !strings.Contains(who, created[1]) {
		t.Fatalf("who made the cluster is told as %v; there are %s", created, who)
	}
	count := " --query length(@) -o tsv"
	expect(t, "2", "monitor activity-log list --correlation-id "+created[2]+count)
	expect(t, "1", "monitor activity-log list --caller "+created[1]+" --max-events 1"+count)
	expect(t, "0", "monitor activity-log list -g apps --start-time 2020-01-01 --end-time 2020-01-02T03:04:05Z"+count)
	expect(t, "Administrative", "monitor activity-log list-categories --query [].value -o tsv")
	expect(t, "1", "monitor activity-log list -g apps --namespace Microsoft.ContainerService --max-events 1 --select caller status --query length(@) -o tsv")
}
