package frontend_test

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// onChannel is a PUT of a cluster with an upgrade channel and other properties.
func onChannel(channel, properties string) string {
	return `{"location":"local","properties":{"autoUpgradeProfile":{"upgradeChannel":"` + channel + `"}` + properties + `}}`
}

func TestAnUpgradeChannelIsKeptAndGivenBack(t *testing.T) {
	r := made(t)
	for _, channel := range []string{"Rapid", "stable", "patch", "none"} {
		a := r.call(http.MethodPut, clusterPath, onChannel(channel, ""))
		if a.status != http.StatusOK || !strings.Contains(a.raw, `"upgradeChannel":"`+strings.ToLower(channel)+`"`) {
			t.Fatalf("%s: %d %s", channel, a.status, a.raw)
		}
		if running := r.cluster().Spec.Operations[0]; running.Verb != meta.VerbUpdate {
			t.Errorf("it is %s", running.Verb)
		}
		r.finish()
	}
	r.call(http.MethodPut, clusterPath, onChannel("patch", ""))
	r.finish()
	a := r.call(http.MethodPut, clusterPath, `{"location":"local","tags":{"a":"b"},"properties":{}}`)
	if a.status != http.StatusOK || r.cluster().Spec.UpgradeChannel != "patch" {
		t.Errorf("a PUT that does not name it: %d, channel %q", a.status, r.cluster().Spec.UpgradeChannel)
	}
}

func TestAChannelTakesTheValueAwayThatWasKeptWithoutEffect(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	cluster.Annotations["containerservice.berth.dev/inert-properties"] = `{"cluster":{"properties.autoUpgradeProfile.upgradeChannel":"none"}}`
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if a := r.call(http.MethodPut, clusterPath, onChannel("rapid", "")); a.status != http.StatusOK || !strings.Contains(a.raw, `"upgradeChannel":"rapid"`) {
		t.Errorf("answered %d %s", a.status, a.raw)
	}
}

func TestAChannelThatIsNoneIsRefusedAndChangesNothing(t *testing.T) {
	r := made(t)
	const at = "properties.autoUpgradeProfile.upgradeChannel"
	for name, c := range map[string]struct {
		body string
		want want
	}{
		"unknown":                  {onChannel("weekly", ""), want{400, "InvalidParameter", at, "rapid"}},
		"the legacy one of images": {onChannel("node-image", ""), want{400, "PropertyNotSupported", at, "--node-image-only"}},
		"packages inside of nodes": {`{"location":"local","properties":{"autoUpgradeProfile":{"nodeOSUpgradeChannel":"SecurityPatch"}}}`,
			want{400, "PropertyNotSupported", "properties.autoUpgradeProfile.nodeOSUpgradeChannel", "no package updates"}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, r.call(http.MethodPut, clusterPath, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
}

func TestTheControlPlaneAloneIsNotUpgradedWhileAChannelIsOn(t *testing.T) {
	r := made(t)
	alone := `,"kubernetesVersion":"1.36.3"`
	whole := alone + `,"agentPoolProfiles":[{"name":"nodepool1","mode":"System","orchestratorVersion":"1.36.3"}]`
	refusal := want{400, "OperationNotAllowed", "properties.kubernetesVersion", "set the channel none first"}
	check(t, r.call(http.MethodPut, clusterPath, onChannel("patch", alone)), refusal)
	check(t, r.call(http.MethodPost, berth("preflightUpgrade"), onChannel("patch", alone)), refusal)
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
	cluster := r.cluster()
	cluster.Spec.UpgradeChannel = "patch"
	cluster.Spec.UpgradeOverride = &containerservicev1alpha1.UpgradeOverride{Force: true, Until: metav1.Now()}
	cluster.Spec.UpgradeOverride.Until.Time = cluster.Spec.UpgradeOverride.Until.AddDate(1, 0, 0)
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	check(t, r.call(http.MethodPut, clusterPath, upgradeTo("1.36.3")), refusal)
	if a := r.call(http.MethodPut, clusterPath, onChannel("patch", whole)); a.status != http.StatusOK {
		t.Errorf("with its pools: %d %s", a.status, a.raw)
	}
	if u := r.cluster().Spec.Upgrade; u == nil || u.ControlPlaneOnly {
		t.Errorf("the upgrade is %+v", u)
	}
}

func TestWhatAChannelWantsIsShownBesideTheUpgrade(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	cluster.Spec.UpgradeChannel = "rapid"
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	cluster = r.cluster()
	now := metav1.Now()
	cluster.Status.AutoUpgrade = &containerservicev1alpha1.AutoUpgradeStatus{
		TargetVersion: "1.36.3", NextVersion: "1.36.3", WindowStart: &now, WindowEnd: &now, Message: "was refused",
		Refused: &containerservicev1alpha1.RefusedUpgrade{Version: "1.36.3", Time: now, RetryTime: now, Failure: meta.Failure{Code: "UnsatisfiablePDB", Message: "relax it"}},
	}
	if err := r.store.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	a := r.call(http.MethodGet, berth("upgrade"), "")
	shown, _ := a.body["properties"].(map[string]any)["autoUpgrade"].(map[string]any)
	refused, _ := shown["refused"].(map[string]any)
	if shown["upgradeChannel"] != "rapid" || shown["targetVersion"] != "1.36.3" || shown["windowStart"] == nil || refused["code"] != "UnsatisfiablePDB" {
		t.Errorf("shown: %s", a.raw)
	}
}

func TestTheChannelOfNodeImagesIsKeptAndGivenBackAndOthersAreRefused(t *testing.T) {
	r := made(t)
	const at = "properties.autoUpgradeProfile.nodeOSUpgradeChannel"
	for _, channel := range []string{"NodeImage", "None"} {
		a := r.call(http.MethodPut, clusterPath, `{"location":"local","properties":{"autoUpgradeProfile":{"nodeOSUpgradeChannel":"`+channel+`"}}}`)
		if a.status != http.StatusOK || !strings.Contains(a.raw, `"nodeOSUpgradeChannel":"`+channel+`"`) || r.cluster().Spec.NodeOSUpgradeChannel != channel {
			t.Fatalf("%s: %d %s", channel, a.status, a.raw)
		}
		r.finish()
	}
	r.writes = 0
	for _, channel := range []string{"Unmanaged", "SecurityPatch"} {
		check(t, r.call(http.MethodPut, clusterPath, `{"location":"local","properties":{"autoUpgradeProfile":{"nodeOSUpgradeChannel":"`+channel+`"}}}`),
			want{400, "PropertyNotSupported", at, "no package updates"})
	}
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}
