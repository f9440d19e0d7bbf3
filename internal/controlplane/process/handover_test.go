package process

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/supervise"
)

const (
	first  = controlplane.FirstSlot
	second = controlplane.Slot(1442)
	third  = controlplane.Slot(1443)
)

// all are the components of a control plane as they are desired.
func all() []supervise.Component {
	return []supervise.Component{
		{Name: controlplane.Etcd, Command: []string{"/etcd"}},
		{Name: controlplane.Konnectivity, Command: []string{"/proxy-server", "--agent-port=8132"}},
		{Name: controlplane.APIServer, Command: []string{"/kube-apiserver", "--secure-port=443"}},
	}
}

// runningAre is a status of processes that run.
func runningAre(names ...string) supervise.Status {
	var status supervise.Status
	for _, name := range names {
		status.Components = append(status.Components, supervise.ComponentStatus{Name: name, PID: 7})
	}
	return status
}

func names(components []supervise.Component) (names, held []string) {
	for _, c := range components {
		names = append(names, c.Name)
		if c.Hold {
			held = append(held, c.Name)
		}
	}
	return names, held
}

func TestAPairThatServesIsHeldAndNothingElseIsListed(t *testing.T) {
	got, held := names(inSlots(all(), first, false, runningAre("etcd", "proxy-server", "kube-apiserver")))
	if want := []string{"etcd", "proxy-server", "kube-apiserver"}; !slices.Equal(got, want) || !slices.Equal(held, want[1:]) {
		t.Errorf("listed %v, held %v", got, held)
	}
}

func TestAHandOverListsThePairsOfBothSlots(t *testing.T) {
	got, held := names(inSlots(all(), first, true, runningAre("etcd", "proxy-server", "kube-apiserver")))
	want := []string{"etcd", "proxy-server", "proxy-server-1442", "kube-apiserver", "kube-apiserver-1442"}
	if !slices.Equal(got, want) || !slices.Equal(held, []string{"proxy-server", "kube-apiserver"}) {
		t.Errorf("listed %v, held %v", got, held)
	}
}

func TestAKonnectivityServerStaysUntilItsAPIServerHasEnded(t *testing.T) {
	running := []string{"etcd", "proxy-server", "proxy-server-1442", "kube-apiserver", "kube-apiserver-1442"}
	got, held := names(inSlots(all(), second, false, runningAre(running...)))
	if want := []string{"etcd", "proxy-server-1442", "proxy-server", "kube-apiserver-1442"}; !slices.Equal(got, want) || len(held) != 3 {
		t.Errorf("while the predecessor ends: listed %v, held %v", got, held)
	}
	running = slices.Delete(running, 3, 4)
	got, _ = names(inSlots(all(), second, false, runningAre(running...)))
	if want := []string{"etcd", "proxy-server-1442", "kube-apiserver-1442"}; !slices.Equal(got, want) {
		t.Errorf("once it has ended: listed %v", got)
	}
}

func TestTheOneKonnectivityServerOfAnEarlierBerthStaysUntilTheFirstHandOver(t *testing.T) {
	status := runningAre("etcd", "proxy-server", "kube-apiserver-1442")
	got, _ := names(inSlots(all(), second, true, status)) // its flags changed, so it is handed over
	want := []string{"etcd", "proxy-server-1442", "proxy-server", "proxy-server-1443", "kube-apiserver-1442", "kube-apiserver-1443"}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v", got)
	}
}

func TestTheDoorLeadsAgentsToBothServersWhileOneTakesOver(t *testing.T) {
	for name, c := range map[string]struct {
		to   leads
		want []rule
	}{
		"at first":        {leads{first, []controlplane.Slot{first}}, nil},
		"handing over":    {leads{first, []controlplane.Slot{second, first}}, []rule{{8132, 8142, true}}},
		"handed over":     {leads{second, []controlplane.Slot{second}}, []rule{{443, 1442, false}, {8132, 8142, false}}},
		"over once more":  {leads{second, []controlplane.Slot{third, second}}, []rule{{443, 1442, false}, {8132, 8152, true}, {8132, 8142, false}}},
		"the third turn":  {leads{third, []controlplane.Slot{third}}, []rule{{443, 1443, false}, {8132, 8152, false}}},
		"and back to two": {leads{second, []controlplane.Slot{second}}, []rule{{443, 1442, false}, {8132, 8142, false}}},
	} {
		if got := c.to.rules(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		for _, step := range c.to.rules() {
			one := door{address: netip.MustParseAddr("198.18.0.16")}
			if got := read(&nftables.Rule{Exprs: one.translate(step)}); got != step {
				t.Errorf("%s: %+v is read back as %+v", name, step, got)
			}
		}
	}
}

func TestAgentsAreCountedFromAPageOfMetrics(t *testing.T) {
	page := []byte("# HELP konnectivity_network_proxy_server_ready_backends Number of konnectivity agents\n" +
		"# TYPE konnectivity_network_proxy_server_ready_backends gauge\n" +
		"konnectivity_network_proxy_server_ready_backends{proxy_strategy=\"default\"} 2\n" +
		"konnectivity_network_proxy_server_ready_backends{proxy_strategy=\"destHost\"} 4\n" +
		"konnectivity_network_proxy_server_ready_backends_other 9\nother 1\n")
	if got := count(page); got != 6 {
		t.Errorf("counted %d", got)
	}
	if count(nil) != 0 {
		t.Error("an empty page has agents")
	}
}

func TestASuccessorWaitsForAgentsOnlySoLong(t *testing.T) {
	now := time.Unix(0, 0)
	f := newFollowers(func() time.Time { return now })
	if f.waited("a") != 0 {
		t.Error("it waited before it began")
	}
	now = now.Add(followLasts)
	if f.waited("a") < followLasts || f.waited("b") != 0 {
		t.Error("one waits for another")
	}
	if f.forget("a"); f.waited("a") != 0 {
		t.Error("it did not begin anew")
	}
}
