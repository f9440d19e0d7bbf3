//go:build e2e

package process

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/thread"
)

func TestAChangedAPIServerTakesOverWithoutAFailedRequest(t *testing.T) {
	fewPorts(t)
	h := newHost(t)
	desired, before := started(t, h)
	driver := h.open()
	callers := call(t, desired)
	watches := watch(t, desired)
	slot, servers := controlplane.FirstSlot, 1
	for _, emulated := range []string{"1.34", "", "1.34"} {
		desired.EmulatedVersion = emulated
		after := settle(t, driver, desired)
		if after.EmulatedVersion != emulated {
			t.Errorf("emulating %q, the server says %q", emulated, after.EmulatedVersion)
		}
		if process(after, controlplane.Etcd) != process(before, controlplane.Etcd) {
			t.Error("etcd was restarted, though nothing of it changed")
		}
		for _, name := range []string{controlplane.ControllerManager, controlplane.Scheduler} {
			if process(after, name) == process(before, name) {
				t.Errorf("%s still runs as it was", name)
			}
		}
		servers++
		watches.reach(int64(len(kept()) * servers))
		if slot = slot.Next(); process(after, slot.Component()) == 0 || process(after, slot.Konnectivity()) == 0 {
			t.Errorf("no API server with its konnectivity server in slot %d: %+v", slot, after.Components)
		}
		if want := fmt.Sprintf("%s/%d", slot.Component(), process(after, slot.Component())); after.Server != want || before.Server == want {
			t.Errorf("new connections are said to reach %q, before %q; want %q", after.Server, before.Server, want)
		}
		before = after
	}
	watches.stop()
	callers.stop()
	if refused, began := watches.refused.Load(), watches.began.Load(); refused > 0 || began < int64(len(kept()))*4 {
		t.Errorf("%d watches were begun, want those of %d kinds at each of 4 servers; %d were refused, the first: %v", began, len(kept()), refused, watches.first.Load())
	}
	if failed := callers.failed.Load(); failed > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", failed, callers.made.Load(), callers.first.Load())
	}
	if callers.made.Load() < 100 {
		t.Errorf("only %d requests were made", callers.made.Load())
	}
	t.Logf("%d requests; the slowest took %s", callers.made.Load(), time.Duration(callers.slowest.Load()))
}

func TestAPortWhoseConnectionWasResetIsLedToTheServerThatServesNow(t *testing.T) {
	desired := newHost(t).desired(t)
	serve := func(slot controlplane.Slot) (listener net.Listener) {
		t.Helper()
		err := thread.InNetwork(desired.NetworkNamespace, func() (err error) {
			listener, err = net.Listen("tcp", netip.AddrPortFrom(desired.Address, uint16(slot)).String())
			return err
		})
		if err == nil {
			t.Cleanup(func() { _ = listener.Close() })
			err = door{namespace: desired.NetworkNamespace, address: desired.Address}.lead(leads{apiServer: slot})
		}
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	connect := func() net.Conn { // from the same port each time
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{Port: 40000}, Timeout: 5 * time.Second, Control: reuse}
		conn, err := dialer.Dial("tcp", netip.AddrPortFrom(desired.Address, controlplane.APIServerPort).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	slot := controlplane.FirstSlot.Next()
	first := serve(slot)
	conn := connect()
	accepted, err := first.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = accepted.(*net.TCPConn).SetLinger(0) // to close is to reset
	_ = accepted.Close()
	_ = first.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the connection was not reset: %v", err)
	}
	_ = conn.Close()
	serve(slot.Next())
	connect()
}

// reuse lets a socket have a port that one had just before.
func reuse(_, _ string, conn syscall.RawConn) (err error) {
	if broken := conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}); broken != nil {
		return broken
	}
	return err
}

func TestAChangeThatComesInTheMiddleOfAnotherIsHandedOverToo(t *testing.T) {
	h := newHost(t)
	desired, before := started(t, h)
	driver := h.open()
	callers := call(t, desired)
	until := func(what string, reached func(controlplane.Status) bool) {
		t.Helper()
		ensureUntil(t, driver, desired, what, reached)
	}
	serves := func(s controlplane.Status) bool {
		return s.Server != before.Server && s.EmulatedVersion == desired.EmulatedVersion
	}
	// Each comes while the predecessor of what serves ends, and the third goes into its slot.
	for _, desired.EmulatedVersion = range []string{"1.34", "", "1.33"} {
		until("a server that emulates '"+desired.EmulatedVersion+"'", serves)
	}
	next := controlplane.FirstSlot.Next().Next().Component()
	until("the end of its predecessor", func(s controlplane.Status) bool { return process(s, next) == 0 })
	desired.EmulatedVersion = ""
	until("a successor", func(s controlplane.Status) bool { return process(s, next) != 0 })
	desired.EmulatedVersion = "1.34" // something else is wanted of it
	settle(t, driver, desired)
	callers.stop()
	if failed := callers.failed.Load(); failed > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", failed, callers.made.Load(), callers.first.Load())
	}
}

func TestAnAPIServerThatCannotStartLeavesItsPredecessorServing(t *testing.T) {
	h := newHost(t)
	desired, before := started(t, h)
	callers := call(t, desired)
	broken := desired
	broken.EmulatedVersion = "1.2" // which it refuses
	driver := h.open()
	for died := false; !died; time.Sleep(20 * time.Millisecond) {
		status, err := driver.Ensure(t.Context(), broken)
		if err != nil || t.Context().Err() != nil {
			t.Fatal(err)
		}
		for _, component := range status.Components {
			died = died || component.Name == controlplane.FirstSlot.Next().Component() && component.Restarts > 1
		}
	}
	status := settle(t, driver, desired)
	callers.stop()
	if process(status, controlplane.APIServer) != process(before, controlplane.APIServer) || process(status, controlplane.ControllerManager) != process(before, controlplane.ControllerManager) {
		t.Errorf("before %+v, after %+v", before.Components, status.Components)
	}
	if failed := callers.failed.Load(); failed > 0 {
		t.Errorf("%d requests failed, the first: %v", failed, callers.first.Load())
	}
}

// settle calls Ensure until everything runs as desired, in one slot.
func settle(t *testing.T, driver controlplane.Runtime, desired controlplane.Desired) controlplane.Status {
	t.Helper()
	return ensureUntil(t, driver, desired, "all as desired", func(status controlplane.Status) bool {
		running := len(status.Components) == 5
		for _, component := range status.Components {
			running = running && component.PID != 0
		}
		return status.Ready && running && len(status.Outdated) == 0 && status.EmulatedVersion == desired.EmulatedVersion
	})
}

// ensureUntil calls Ensure until its status is what is waited for.
func ensureUntil(t *testing.T, driver controlplane.Runtime, desired controlplane.Desired, what string, reached func(controlplane.Status) bool) controlplane.Status {
	t.Helper()
	const limit = 2 * time.Minute
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		status, err := driver.Ensure(t.Context(), desired)
		if err != nil {
			t.Fatal(err)
		}
		if reached(status) {
			return status
		}
		if time.Since(begun) > limit {
			t.Fatalf("%s was never seen: %+v", what, status)
		}
	}
}

// process is the number of a component's process, 0 for none.
func process(status controlplane.Status, name string) int {
	for _, component := range status.Components {
		if component.Name == name {
			return component.PID
		}
	}
	return 0
}

// callers ask an API server all the time.
type callers struct {
	made, failed, slowest atomic.Int64
	first                 atomic.Value
	stop                  func()
}

// call starts callers: one that keeps its connection, one that makes a new one
// for each request, both reading and writing.
func call(t *testing.T, desired controlplane.Desired) *callers {
	t.Helper()
	c := &callers{}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	c.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(c.stop)
	// Many that connect anew: some of them have only just done so whenever a server is led past.
	for _, fresh := range []bool{false, true, true, true, true, true, true, true} {
		config := &rest.Config{
			Host: "https://" + desired.Address.String(), QPS: -1, Timeout: 30 * time.Second,
			TLSClientConfig: rest.TLSClientConfig{
				CAData: desired.Credentials[pki.ClusterCACert], CertData: desired.Credentials[pki.ServiceClientCert], KeyData: desired.Credentials[pki.ServiceClientKey],
			},
		}
		if fresh {
			config = unkept(t, config)
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				begun := time.Now()
				if err := touch(ctx, client, i); err != nil && ctx.Err() == nil {
					c.failed.Add(1)
					c.first.CompareAndSwap(nil, fmt.Sprintf("(new connections: %t) %v", fresh, err))
				}
				c.made.Add(1)
				c.slowest.Store(max(c.slowest.Load(), int64(time.Since(begun))))
				time.Sleep(10 * time.Millisecond) // a caller, not a load
			}
		})
	}
	return c
}

// touch reads or writes, by turns.
func touch(ctx context.Context, client *kubernetes.Clientset, i int) error {
	if i%2 == 0 {
		_, err := client.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
		return err
	}
	namespace, err := client.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
	if err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"uid":%q,"annotations":{"turn":"%d"}}}`, namespace.UID, i)
	_, err = client.CoreV1().Namespaces().Patch(ctx, "default", "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	return err
}

// unkept is a configuration whose every request makes a connection of its own.
func unkept(t *testing.T, config *rest.Config) *rest.Config {
	t.Helper()
	certificate, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		t.Fatal(err)
	}
	return &rest.Config{Host: config.Host, QPS: -1, Timeout: config.Timeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: pool(t, config.CAData), Certificates: []tls.Certificate{certificate}},
	}}
}
