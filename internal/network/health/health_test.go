package health

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth.dev/berth/internal/network"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func nodeDown(text string) netip.AddrPort {
	return netip.AddrPortFrom(addr(text), network.NodeHealthPort)
}

func balanced(healthPort uint16, backends ...string) network.Network {
	n := network.Network{ID: "alpha", Frontends: []network.Frontend{{Address: addr("198.18.0.17"), HealthPort: healthPort}}}
	for i, backend := range backends {
		n.Ports = append(n.Ports, network.Port{ID: fmt.Sprint("port", i), Address: addr(backend)})
		n.Frontends[0].Backends = append(n.Frontends[0].Backends, addr(backend))
	}
	return n
}

func TestWhatFailsLeavesRotationUnlessNothingWouldBeLeftOfNodes(t *testing.T) {
	const one, two = "10.0.0.4", "10.0.0.5"
	port := func(text string) netip.AddrPort { return netip.AddrPortFrom(addr(text), 31000) }
	for _, test := range []struct {
		name       string
		healthPort uint16
		down       Down
		want       string
	}{
		{"nothing fails", 0, nil, "10.0.0.4 10.0.0.5"},
		{"a node fails", 0, Down{nodeDown(one)}, "10.0.0.5"},
		{"all nodes fail", 0, Down{nodeDown(one), nodeDown(two)}, "10.0.0.4 10.0.0.5"},
		{"another frontend's port fails", 0, Down{port(one)}, "10.0.0.4 10.0.0.5"},
		{"the frontend's port fails on one", 31000, Down{port(one)}, "10.0.0.5"},
		{"the frontend's port fails on all", 31000, Down{port(one), port(two)}, ""},
		{"one has no endpoint and the other no proxy", 31000, Down{port(one), nodeDown(two)}, "10.0.0.5"},
		{"a node with an endpoint fails", 31000, Down{nodeDown(one)}, "10.0.0.5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := balanced(test.healthPort, one, two)
			var left []string
			for _, backend := range test.down.Apply(n).Frontends[0].Backends {
				left = append(left, backend.String())
			}
			if got := strings.Join(left, " "); got != test.want {
				t.Errorf("in rotation are %q, want %q", got, test.want)
			}
			if len(n.Frontends[0].Backends) != 2 {
				t.Error("the network that was given was changed")
			}
		})
	}
}

func TestOneAnswerChangesNoJudgementAndTwoInARowDo(t *testing.T) {
	j := judgement{}
	var changes []int
	for i, healthy := range []bool{true, false, true, false, false, false, true, false, true, true, true} {
		if j.hear(healthy) {
			changes = append(changes, i)
		}
	}
	if !slices.Equal(changes, []int{4, 9}) || j.down {
		t.Errorf("the judgement changed at %v and is now down=%v", changes, j.down)
	}
}

// near is a Router without namespaces, in which node addresses lead to test servers.
type near struct {
	rebalanced atomic.Int64
}

func (*near) Inside(_ string, do func() error) error { return do() }

func (n *near) Rebalance(context.Context, string) error {
	n.rebalanced.Add(1)
	return nil
}

// nodes serves /healthz on 127.0.0.1 and says what it says.
type nodes struct {
	mu   sync.Mutex
	well bool
}

func (n *nodes) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.well {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (n *nodes) be(well bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.well = well
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 seconds", what)
		}
	}
}

func TestABackendThatSaysItIsNotWellLeavesAndComesBack(t *testing.T) {
	node := &nodes{well: true}
	server := httptest.NewServer(node)
	defer server.Close()
	port := netip.MustParseAddrPort(server.Listener.Addr().String()).Port()
	store := Store{Dir: t.TempDir()}
	n := balanced(port, "127.0.0.1")
	if err := store.SaveNetwork(n); err != nil {
		t.Fatal(err)
	}
	router := &near{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- Prober{Store: store, Router: router, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}.Run(ctx)
	}()
	target := netip.AddrPortFrom(addr("127.0.0.1"), port)
	down := func() bool {
		found, err := store.Down("alpha")
		return err == nil && slices.Contains(found, target)
	}
	node.be(false)
	eventually(t, "the backend leaves", down)
	eventually(t, "the router is programmed", func() bool { return router.rebalanced.Load() > 0 })
	node.be(true)
	eventually(t, "the backend comes back", func() bool { return !down() })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestANodeThatIsNewBesideOthersWaitsForItsFirstAnswer(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	node := func(text string) netip.AddrPort { return netip.AddrPortFrom(addr(text), network.NodeHealthPort) }
	down := func(backends ...string) Down {
		t.Helper()
		found, err := store.Ensure(balanced(0, backends...))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := down("127.0.0.1"); len(found) != 0 {
		t.Errorf("of a new network %v fail", found)
	}
	if found := down("127.0.0.1", "127.0.0.2"); !slices.Equal(found, Down{node("127.0.0.2")}) {
		t.Errorf("after a second node came %v fail", found)
	}
	silent, cancel := context.WithCancel(context.Background())
	cancel() // it asks nobody by itself
	r := Prober{Store: store, Router: &near{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}.begin(silent, "alpha")
	defer r.stop()
	hears := func(healthy bool, want ...netip.AddrPort) {
		t.Helper()
		r.hear(node("127.0.0.2"), healthy)
		if err := r.save(); err != nil {
			t.Fatal(err)
		}
		if found, err := store.Down("alpha"); err != nil || !slices.Equal(found, Down(want)) {
			t.Errorf("%v fail, want %v: %v", found, want, err)
		}
	}
	hears(false, node("127.0.0.2"))
	hears(true, node("127.0.0.2")) // this prober found it failing, so one answer may be chance
	hears(true)
	if found := down("127.0.0.1"); len(found) != 0 {
		t.Errorf("after the second node left %v fail", found)
	}
	if found := down("127.0.0.1", "127.0.0.2"); !slices.Equal(found, Down{node("127.0.0.2")}) {
		t.Errorf("after it came back %v fail", found)
	}
}

func TestOneAnswerIsEnoughForWhoNeverAnswered(t *testing.T) {
	j := unheard()
	if j.hear(false) || !j.down {
		t.Error("it came without an answer")
	}
	if j = unheard(); !j.hear(true) || j.down {
		t.Error("its answer was not enough")
	}
}

func TestANewProberBelievesWhatTheLastOneFound(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	store := Store{Dir: t.TempDir()}
	target := netip.AddrPortFrom(addr("127.0.0.1"), port)
	if err := store.SaveNetwork(balanced(port, "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	if err := store.SaveDown("alpha", Down{target}); err != nil {
		t.Fatal(err)
	}
	p := Prober{Store: store, Router: &near{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	r := p.begin(context.Background(), "alpha")
	r.hear(target, false)
	if err := r.publish(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if found, err := store.Down("alpha"); err != nil || !slices.Contains(found, target) {
		t.Errorf("down is %v, %v", found, err)
	}
}

func TestANetworkThatIsRemovedIsForgotten(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	if err := store.SaveNetwork(balanced(0, "10.0.0.4")); err != nil {
		t.Fatal(err)
	}
	unlock, err := store.Lock("alpha")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if ids, err := store.List(); err != nil || !slices.Equal(ids, []string{"alpha"}) {
		t.Fatal(ids, err)
	}
	if err := store.Remove("alpha"); err != nil {
		t.Fatal(err)
	}
	if ids, err := store.List(); err != nil || len(ids) != 0 {
		t.Fatal(ids, err)
	}
}
