package controller_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1 "berth.dev/berth/api/host/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/autoupgrade"
	"berth.dev/berth/internal/rp/containerservice"
)

// upgrades is the resource provider, which starts what channels ask for.
func (w *world) upgrades(c client.Client) autoupgrade.Runner {
	w.t.Helper()
	provider, err := containerservice.NewProvider(containerservice.Options{
		Client: c, Now: w.clock.Now, Location: "local", UpgradeSoak: soak,
		DialTenant: func(_ context.Context, cluster *containerservicev1.ManagedCluster) (client.Reader, func(), error) {
			return w.tenantAPI(cluster.Status.Address), func() {}, nil
		},
	})
	must(w.t, err)
	return provider
}

// hostReports gives the host room for many nodes.
func (w *world) hostReports() {
	w.t.Helper()
	host := &hostv1.Host{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: "local"}, host))
	host.Status.CPUs, host.Status.MemoryMiB = 64, 256<<10
	must(w.t, w.api.Update(context.Background(), host))
}

// comes sets the clock and lets all happen that is to happen then.
func (w *world) comes(moment string) {
	w.t.Helper()
	parsed, err := time.Parse(time.RFC3339, moment)
	must(w.t, err)
	w.clock.SetTime(parsed)
	w.live()
}

// onChannel is a world with the cluster demo on a channel.
func onChannel(t *testing.T, channel string, configurations ...containerservicev1.MaintenanceConfigurationSpec) *world {
	t.Helper()
	w := newWorld(t)
	w.hostReports()
	w.put("demo", 1)
	w.live()
	for _, spec := range configurations {
		w.plan(spec)
	}
	w.channel(channel)
	w.live()
	return w
}

// channel puts the cluster demo on a channel, as the front end does.
func (w *world) channel(name string) {
	w.t.Helper()
	cluster := w.cluster("demo")
	cluster.Spec.UpgradeChannel = name
	must(w.t, w.api.Update(context.Background(), cluster))
}

// plan writes a maintenance configuration, as the front end does.
func (w *world) plan(spec containerservicev1.MaintenanceConfigurationSpec) {
	w.t.Helper()
	spec.ClusterName, spec.ClusterIncarnation = "demo", w.cluster("demo").Spec.Incarnation
	w.create(&containerservicev1.MaintenanceConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "demo-" + strings.ToLower(spec.Name), Labels: map[string]string{containerservicev1.MaintenanceClusterLabel: "demo"}},
		Spec:       spec,
	})
}

// saturdays is a window of four hours from 22:00 UTC on; the epoch is a Saturday, 8:00.
func saturdays(name string) containerservicev1.MaintenanceConfigurationSpec {
	return containerservicev1.MaintenanceConfigurationSpec{Name: name, MaintenanceWindow: &containerservicev1.MaintenanceWindow{
		Schedule:      containerservicev1.MaintenanceSchedule{Weekly: &containerservicev1.WeeklySchedule{IntervalWeeks: 1, DayOfWeek: "Saturday"}},
		DurationHours: 4, UTCOffset: "+00:00", StartDate: "2026-11-21", StartTime: "22:00",
	}}
}

func (w *world) configurations() []containerservicev1.MaintenanceConfiguration {
	w.t.Helper()
	var list containerservicev1.MaintenanceConfigurationList
	must(w.t, w.api.List(context.Background(), &list))
	return list.Items
}

// told asserts what the condition AutoUpgrade says.
func (w *world) told(status metav1.ConditionStatus, reason string, pieces ...string) {
	w.t.Helper()
	c := apimeta.FindStatusCondition(w.cluster("demo").Status.Conditions, containerservicev1.ConditionAutoUpgrade)
	if c == nil {
		w.t.Fatal("there is no condition AutoUpgrade")
	}
	if c.Status != status || c.Reason != reason {
		w.t.Errorf("AutoUpgrade is %s, %s: %s; want %s, %s", c.Status, c.Reason, c.Message, status, reason)
	}
	for _, piece := range pieces {
		if !strings.Contains(c.Message, piece) {
			w.t.Errorf("AutoUpgrade says %q, without %q", c.Message, piece)
		}
	}
}

// begun asserts how many upgrades the channel has begun, ended ones included.
func (w *world) begun(want int) {
	w.t.Helper()
	got := 0
	for _, operation := range w.cluster("demo").Spec.Operations {
		if operation.Caller == containerservicev1.AutoUpgradeCaller {
			got++
		}
	}
	for _, record := range w.history.records {
		if record.Caller == containerservicev1.AutoUpgradeCaller {
			got++
		}
	}
	if got != want {
		w.t.Errorf("the channel has begun %d upgrades, want %d", got, want)
	}
}

func TestAnUpgradeBeginsInTheWindowAndNotBefore(t *testing.T) {
	w := onChannel(t, "rapid", saturdays(containerservicev1.MaintenanceAutoUpgrade))
	w.told(metav1.ConditionFalse, "Waiting", "the upgrade to Kubernetes 1.36.3", "from 2026-11-21T22:00:00Z to 2026-11-22T02:00:00Z")
	w.comes("2026-11-21T21:59:59Z")
	w.begun(0)
	w.comes("2026-11-21T22:00:00Z")
	w.begun(1)
	w.told(metav1.ConditionFalse, "Started", "1.36.3 is under way")
	w.emulates("1.36.3", "1.35")
	if operation := w.cluster("demo").Spec.Operations[0]; operation.Verb != meta.VerbUpgrade || operation.Scope != meta.ScopeCluster {
		t.Errorf("it is %+v", operation)
	}
	w.later(soak)
	w.live()
	w.told(metav1.ConditionTrue, "Ready", "runs Kubernetes 1.36.3")
	w.begun(1)
	w.poolRuns("1.36.3")
	w.comes("2026-11-28T22:00:00Z")
	w.begun(1)
}

func TestAnUpgradeThatNeedsTwoStepsTakesThemOneAfterTheOther(t *testing.T) {
	w := newWorld(t)
	w.hostReports()
	w.put("demo", 1)
	cluster := w.cluster("demo")
	cluster.Spec.KubernetesVersion, cluster.Spec.AgentPools[0].OrchestratorVersion = "1.34.1", "1.34.1"
	must(t, w.api.Update(context.Background(), cluster))
	w.live()
	w.channel("rapid")
	w.live()
	w.emulates("1.35.4", "1.34")
	w.begun(1)
	w.later(soak)
	w.live()
	w.begun(2)
	w.emulates("1.36.3", "1.35")
	w.later(soak)
	w.live()
	w.begun(2)
	w.told(metav1.ConditionTrue, "Ready", "1.36.3")
}

func TestChannelsThatWantNothingChangeNothing(t *testing.T) {
	for _, channel := range []string{"patch", "stable"} {
		t.Run(channel, func(t *testing.T) {
			w := onChannel(t, channel)
			w.begun(0)
			w.told(metav1.ConditionTrue, "Ready", "1.35.4", channel)
			w.channel("none")
			w.live()
			if status := w.cluster("demo").Status; status.AutoUpgrade != nil || apimeta.FindStatusCondition(status.Conditions, containerservicev1.ConditionAutoUpgrade) != nil {
				t.Errorf("the channel is still told: %+v", status.AutoUpgrade)
			}
		})
	}
}

func TestTheDefaultConfigurationStandsInForThatOfUpgrades(t *testing.T) {
	monday := containerservicev1.MaintenanceConfigurationSpec{
		Name: containerservicev1.MaintenanceDefault, TimeInWeek: []containerservicev1.TimeInWeek{{Day: "Monday", HourSlots: []int32{3}}},
	}
	w := onChannel(t, "rapid", monday)
	w.told(metav1.ConditionFalse, "Waiting", "from 2026-11-23T03:00:00Z to 2026-11-23T04:00:00Z")
	w.plan(saturdays(containerservicev1.MaintenanceAutoUpgrade))
	w.live()
	w.told(metav1.ConditionFalse, "Waiting", "from 2026-11-21T22:00:00Z")
	w.begun(0)
	for _, configuration := range w.configurations() {
		must(t, w.api.Delete(context.Background(), &configuration))
	}
	w.live()
	w.begun(1)
}

func TestAClusterThatIsBusyStoppedOrFailedWaits(t *testing.T) {
	for name, c := range map[string]struct {
		stop  func(w *world)
		says  string
		goOn  func(w *world)
		after int
	}{
		"stopped": {
			func(w *world) { w.power("stop", meta.VerbStop) }, "is stopped; start it",
			func(w *world) { w.power("start", meta.VerbStart) }, 1,
		},
		"busy": {
			func(w *world) { w.kubeletsDown = true; w.scale("demo", "up", 2) }, "the operation Scale runs",
			func(w *world) { w.kubeletsDown = false }, 1,
		},
		"failed": {
			func(w *world) {
				cluster := w.cluster("demo")
				cluster.Status.Failure = &meta.Failure{Code: "Broken", Message: "broken"}
				must(w.t, w.api.Status().Update(context.Background(), cluster))
			}, "is Failed; bring it back",
			func(w *world) { w.power("again", meta.VerbUpdate) }, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := onChannel(t, "rapid", saturdays(containerservicev1.MaintenanceAutoUpgrade))
			w.comes("2026-11-21T21:55:00Z")
			c.stop(w)
			w.live()
			w.comes("2026-11-21T22:01:00Z")
			w.begun(0)
			w.told(metav1.ConditionFalse, "Waiting", "waits", c.says)
			c.goOn(w)
			w.live()
			w.begun(c.after)
		})
	}
}

// blockEviction keeps the only node of the cluster from being drained.
func (w *world) blockEviction() *policyv1.PodDisruptionBudget {
	w.t.Helper()
	tenant := w.tenantOf("demo")
	var nodes corev1.NodeList
	must(w.t, tenant.List(context.Background(), &nodes))
	labels := map[string]string{"app": "precious"}
	must(w.t, tenant.Create(context.Background(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "precious", Labels: labels}, Spec: corev1.PodSpec{NodeName: nodes.Items[0].Name},
	}))
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "all"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}},
	}
	must(w.t, tenant.Create(context.Background(), budget))
	return budget
}

func TestAnUpgradeThatPreflightBlocksIsToldAndTriedAgainInTheNextWindow(t *testing.T) {
	w := onChannel(t, "rapid", saturdays(containerservicev1.MaintenanceAutoUpgrade))
	budget := w.blockEviction()
	w.comes("2026-11-21T22:00:00Z")
	w.begun(0)
	w.told(metav1.ConditionFalse, "Refused", "was refused at 2026-11-21T22:00:00Z", "default/all", "again in the maintenance window from 2026-11-28T22:00:00Z")
	refused := w.cluster("demo").Status.AutoUpgrade.Refused
	if refused == nil || refused.Failure.Code != "UnsatisfiablePDB" || refused.Version != "1.36.3" {
		t.Fatalf("refused = %+v", refused)
	}
	must(t, w.tenantOf("demo").Delete(context.Background(), budget))
	w.comes("2026-11-22T01:59:00Z")
	w.begun(0)
	w.comes("2026-11-22T02:00:00Z")
	w.told(metav1.ConditionFalse, "Waiting", "begins in the maintenance window from 2026-11-28T22:00:00Z")
	w.comes("2026-11-28T22:00:00Z")
	w.begun(1)
}

func TestAChangeOfTheClusterMakesANewAttemptInTheSameWindow(t *testing.T) {
	w := onChannel(t, "rapid", saturdays(containerservicev1.MaintenanceAutoUpgrade))
	w.blockEviction()
	w.comes("2026-11-21T22:00:00Z")
	w.begun(0)
	cluster := w.cluster("demo")
	cluster.Spec.UpgradeOverride = &containerservicev1.UpgradeOverride{Force: true, Until: metav1.NewTime(w.clock.Now().Add(time.Hour))}
	must(t, w.api.Update(context.Background(), cluster))
	w.live()
	w.begun(1)
}

func TestAConfigurationGoesWithItsCluster(t *testing.T) {
	w := onChannel(t, "patch", saturdays(containerservicev1.MaintenanceAutoUpgrade))
	w.delete("demo")
	w.live()
	if left := w.configurations(); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestAConfigurationThatAFrontEndLeftBehindGoes(t *testing.T) {
	w := onChannel(t, "patch", saturdays(containerservicev1.MaintenanceAutoUpgrade), saturdays(containerservicev1.MaintenanceNodeOS))
	former := w.configurations()[0]
	former.Spec.ClusterIncarnation = "aformerone"
	must(t, w.api.Update(context.Background(), &former))
	w.live()
	if left := w.configurations(); len(left) != 1 || left[0].Name == former.Name {
		t.Errorf("left over: %v", left)
	}
	w.create(&containerservicev1.MaintenanceConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "orphan", Labels: map[string]string{containerservicev1.MaintenanceClusterLabel: "gone"}},
		Spec:       containerservicev1.MaintenanceConfigurationSpec{ClusterName: "gone", ClusterIncarnation: "aformerone", Name: "default"},
	})
	controller := autoupgrade.NewController(autoupgrade.Config{Client: w.api, Reader: w.api, Clock: w.clock, Runner: w.upgrades(w.api)})
	_, err := controller.Reconcile(context.Background(), reconcile.Request{NamespacedName: client.ObjectKey{Name: "gone"}})
	must(t, err)
	if left := w.configurations(); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}

func TestAKillBehindAnyWriteOfAnAutomaticUpgradeHeals(t *testing.T) {
	before := func(w *world) {
		w.hostReports()
		w.put("demo", 1)
		w.live()
		w.plan(saturdays(containerservicev1.MaintenanceAutoUpgrade))
		w.channel("rapid")
		w.live()
	}
	window := time.Date(2026, 11, 21, 22, 0, 0, 0, time.UTC)
	heals(t, map[string]story{
		"the window opens": {
			before: before,
			event:  func(w *world) { w.clock.SetTime(window) },
			check: func(w *world) {
				w.begun(1)
				w.emulates("1.36.3", "1.35")
				w.told(metav1.ConditionFalse, "Started", "1.36.3")
			},
		},
		"preflight blocks": {
			before: func(w *world) { before(w); w.blockEviction() },
			event:  func(w *world) { w.clock.SetTime(window) },
			check:  func(w *world) { w.begun(0); w.told(metav1.ConditionFalse, "Refused", "2026-11-28T22:00:00Z") },
		},
	})
}
