package frontend_test

import (
	"net/http"
	"strings"
	"testing"
)

const aPool = groupPath + "/providers/Microsoft.ContainerService/managedClusters/demo/agentPools/nodepool1"

func poolCall(action string) string { return aPool + action + "?api-version=2025-02-01" }

// poolOf is a PUT of the pool with some properties.
func poolOf(properties string) string { return `{"properties":{"mode":"System",` + properties + `}}` }

func TestAPoolsUpgradeThatMayNotBeIsRefusedAndChangesNothing(t *testing.T) {
	r := made(t)
	const at = "properties.orchestratorVersion"
	for name, c := range map[string]struct {
		method, path, body string
		want               want
	}{
		"above the control plane": {"PUT", poolCall(""), poolOf(`"orchestratorVersion":"1.36.3"`), want{400, "NodePoolMcVersionIncompatible", at, "Upgrade the control plane first"}},
		"a downgrade":             {"PUT", poolCall(""), poolOf(`"orchestratorVersion":"1.34.3"`), want{400, "OperationNotAllowed", at, "rollback"}},
		"nothing may move":        {"PUT", poolCall(""), poolOf(`"upgradeSettings":{"maxSurge":"0","maxUnavailable":"0"}`), want{400, "InvalidParameter", "properties.upgradeSettings.maxSurge", "could ever be replaced"}},
		"drain time out of range": {"PUT", poolCall(""), poolOf(`"upgradeSettings":{"drainTimeoutInMinutes":1441}`), want{400, "", "", ""}},
		"the last System pool":    {"PUT", poolCall(""), poolOf(`"powerState":{"code":"Stopped"}`), want{400, "OperationNotAllowed", "properties.powerState.code", "Stop the cluster instead"}},
		"nothing to roll back":    {"POST", strings.Replace(aPool, "Microsoft.", "Berth.", 1) + "/rollback?api-version=2026-11-01", "", want{409, "OperationNotAllowed", "", "cannot be rolled back"}},
		"no machine of that name": {"POST", poolCall("/deleteMachines"), `{"machineNames":["other"]}`, want{400, "InvalidParameter", "machineNames[0]", "no machine"}},
		"no machine at all":       {"POST", poolCall("/deleteMachines"), `{"machineNames":[]}`, want{400, "InvalidParameter", "machineNames", "at least one"}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, r.call(c.method, c.path, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
}

func TestUpgradeSettingsOfAPoolAreKeptAndGivenBack(t *testing.T) {
	r := made(t)
	answer := r.call(http.MethodPut, poolCall(""), poolOf(`"upgradeSettings":{"maxSurge":"33%","drainTimeoutInMinutes":7}`))
	if answer.status != http.StatusOK {
		t.Fatalf("%d %s", answer.status, answer.raw)
	}
	settings := r.cluster().AgentPool("nodepool1").UpgradeSettings
	if settings.MaxSurge != "33%" || settings.DrainTimeoutInMinutes != 7 || !strings.Contains(answer.raw, `"maxSurge":"33%"`) {
		t.Errorf("settings = %+v, answer %s", settings, answer.raw)
	}
}
