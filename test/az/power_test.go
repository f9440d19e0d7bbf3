//go:build e2e

package az

import (
	"strings"
	"testing"
	"time"
)

// one is the path of the cluster one, as az rest takes it.
const one = "/subscriptions/{subscriptionId}/resourceGroups/apps/providers/Microsoft.ContainerService/managedClusters/one"

// plan says when planned work may be done. az 2.45 has no command for that.
func plan(t *testing.T) {
	at := func(name string) string {
		return " --url " + one + "/maintenanceConfigurations/" + name + "?api-version=2025-02-01"
	}
	window := func(hours string) string {
		return ` --body {"properties":{"maintenanceWindow":{"schedule":{"weekly":{"intervalWeeks":1,"dayOfWeek":"Friday"}},"durationHours":` + hours + `,"startTime":"22:00"}}}`
	}
	expect(t, "default", "rest --method put"+at("default")+` --body {"properties":{"timeInWeek":[{"day":"Monday","hourSlots":[1,2]}]}} --query name -o tsv`)
	expect(t, "8", "rest --method put"+at("aksManagedAutoUpgradeSchedule")+window("8")+" --query properties.maintenanceWindow.durationHours -o tsv")
	refused(t, "4 to 24", "rest --method put"+at("aksManagedAutoUpgradeSchedule")+window("3"))
	expect(t, "8", "rest --method get"+at("aksManagedAutoUpgradeSchedule")+" --query properties.maintenanceWindow.durationHours -o tsv")
	az(t, "rest --method delete"+at("default"))
	expect(t, "aksManagedAutoUpgradeSchedule", "rest --method get --url "+one+"/maintenanceConfigurations?api-version=2025-02-01 --query value[].name -o tsv")
	az(t, "rest --method delete"+at("aksManagedAutoUpgradeSchedule"))
}

// power stops and starts the cluster, and gives a start up. az 2.45 has no
// command to abort an operation.
func power(t *testing.T) {
	az(t, "aks stop -g apps -n one")
	expect(t, "Stopped Succeeded", "aks show -g apps -n one --query [powerState.code,provisioningState] -o tsv")
	az(t, "aks stop -g apps -n one") // once more, which changes nothing
	refused(t, "is stopped", "aks nodepool scale -g apps --cluster-name one -n nodepool1 -c 1")
	az(t, "aks start -g apps -n one --no-wait")
	const abort = "rest --method post --url " + one + "/abort?api-version=2025-02-01"
	if printed, err := service.run("az", strings.Fields(abort)...); err != nil && !strings.Contains(err.Error(), "OperationNotAllowed") {
		t.Errorf("aborting: %q, %v", printed, err) // the start may have been faster than az
	}
	for deadline := time.Now().Add(time.Minute); ; {
		state := az(t, "aks show -g apps -n one --query provisioningState -o tsv")
		if state = strings.TrimSpace(state); state == "Canceled" || state == "Succeeded" {
			if state == "Canceled" {
				az(t, "aks start -g apps -n one")
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster is %s", state)
		}
	}
	expect(t, "Running Succeeded", "aks show -g apps -n one --query [powerState.code,provisioningState] -o tsv")
	refused(t, "is running", "aks start -g apps -n one")
	refused(t, "OperationNotAllowed", abort)
}
