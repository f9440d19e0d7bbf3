//go:build e2e

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/controlplane/controlplanetest"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/thread"
)

// insideVariable tells the test program that it has the namespaces that it asked for.
const insideVariable = "BERTH_TEST_INSIDE"

// TestMain runs the tests in network and mount namespaces of their own, which
// stand for the host: nothing of what they make there can be left behind.
func TestMain(m *testing.M) {
	if os.Getenv(insideVariable) != "" {
		if err := configure("lo", netip.Addr{}); err != nil { // for the servers of tests that need no namespace
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), insideVariable+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "these tests need root:", err)
		os.Exit(1)
	}
	os.Exit(command.ProcessState.ExitCode())
}

// host is what the driver's tests run on.
type host struct {
	home       home.Home
	cgroups    cgroup.Hierarchy
	supervisor string
	binaries   map[string]string
	namespaces string
	planes     atomic.Int32
}

// newHost makes a home with a supervisor in it, and removes all that is left of it.
func newHost(t *testing.T) *host {
	t.Helper()
	store, err := release.Open(release.Options{})
	if err != nil {
		t.Fatal(err)
	}
	artifacts, ok := store.Lookup("")
	if !ok {
		t.Fatalf("the default release is not in %s: berth release build makes it", store.Dir())
	}
	dir, err := os.MkdirTemp("", "berth-cp-")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{home: home.Home{Dir: dir, Instance: naming.Instance()}, binaries: artifacts.Binaries}
	if h.cgroups, err = cgroup.Detect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.cgroups.Remove(h.home.Prefix()), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	h.namespaces = filepath.Join(dir, "netns")
	if err := errors.Join(os.Chmod(dir, 0o711), os.Mkdir(h.namespaces, 0o700)); err != nil {
		t.Fatal(err)
	}
	h.supervisor = filepath.Join(dir, "berth-supervisor")
	build := exec.Command("go", "build", "-o", h.supervisor, "berth.dev/berth/cmd/berth-supervisor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the supervisor: %v\n%s", err, output)
	}
	return h
}

func (h *host) open() controlplane.Runtime {
	return New(Options{Home: h.home, Supervisor: h.supervisor, Cgroups: h.cgroups})
}

// desired is a control plane with a namespace, an address and a uid of its own.
func (h *host) desired(t *testing.T) controlplane.Desired {
	t.Helper()
	n := int(h.planes.Add(1))
	outside, inside := netip.AddrFrom4([4]byte{198, 18, 200, byte(4*n + 1)}), netip.AddrFrom4([4]byte{198, 18, 200, byte(4*n + 2)})
	namespace := filepath.Join(h.namespaces, fmt.Sprint(n))
	if err := makeNamespace(namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unix.Unmount(namespace, unix.MNT_DETACH), os.Remove(namespace)); err != nil {
			t.Error(err)
		}
	})
	link := fmt.Sprintf("cp%d", n)
	if err := connect(namespace, link, outside, inside); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the namespace, and with it the link, would go a moment later
		if err := netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: link}}); err != nil {
			t.Error(err)
		}
	})
	desired := controlplanetest.Desired(t, inside)
	desired.Binaries, desired.NetworkNamespace, desired.UserID = h.binaries, namespace, 64000+n
	return desired
}

func (h *host) fixture() controlplanetest.Fixture {
	return controlplanetest.Fixture{
		Open: h.open, Desired: h.desired,
		Kill: func(t *testing.T, pid int) {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		},
		Put: put, Get: fetch,
	}
}

// makeNamespace makes a network namespace and keeps it at a path.
func makeNamespace(path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}
		done <- err
	}()
	return <-done
}

// connect links the tests' namespace with another one.
func connect(namespace, name string, outside, inside netip.Addr) error {
	file, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer file.Close()
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(file.Fd())),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	return errors.Join(configure(name, outside), thread.InNetwork(namespace, func() error {
		return errors.Join(configure("lo", netip.Addr{}), configure("eth0", inside))
	}))
}

func configure(name string, address netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if address.IsValid() {
		network := &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(30, 32)}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: network}); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(link)
}

// fewPorts leaves the tests' namespace so few ports to connect from that each is used
// again within seconds, while servers still remember who had it before.
func fewPorts(t *testing.T) {
	t.Helper()
	const setting = "/proc/sys/net/ipv4/ip_local_port_range"
	former, err := os.ReadFile(setting)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(setting, []byte("30000 34000"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(setting, former, 0); err != nil {
			t.Error(err)
		}
	})
}

// client is a client with Berth's own certificate.
func client(t *testing.T, desired controlplane.Desired) kubernetes.Interface {
	t.Helper()
	clients, err := kubernetes.NewForConfig(&rest.Config{
		Host: "https://" + desired.Address.String(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   desired.Credentials[pki.ClusterCACert],
			CertData: desired.Credentials[pki.ServiceClientCert],
			KeyData:  desired.Credentials[pki.ServiceClientKey],
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

// put keeps a word in a Secret.
func put(t *testing.T, desired controlplane.Desired, word string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "word"}, Data: map[string][]byte{"word": []byte(word)}}
	_, err := client(t, desired).CoreV1().Secrets("kube-system").Create(context.Background(), secret, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

func fetch(t *testing.T, desired controlplane.Desired) string {
	t.Helper()
	secret, err := client(t, desired).CoreV1().Secrets("kube-system").Get(context.Background(), "word", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(secret.Data["word"])
}
