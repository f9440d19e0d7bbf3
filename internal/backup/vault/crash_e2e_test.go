//go:build e2e

package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/home"
)

// The environment of a child, which works like a host agent until it kills itself.
const (
	childHome  = "BERTH_VAULT_CHILD_HOME" // and its instance, its supervisor, its etcd
	childWork  = "BERTH_VAULT_CHILD_WORK" // take, verify or restore
	childSteps = "BERTH_VAULT_CHILD_STEPS"
)

// crashEntries are those of the range; more than one transaction holds.
const crashEntries = 250

// fixedRing is the same in the parent and its children.
func fixedRing() (*backup.Keyring, error) {
	key := bytes.Repeat([]byte{7}, backup.KeySize)
	return backup.NewKeyring(backup.KeyID(key), key)
}

// TestWorkOfAChild is no test of its own: it is what the children of the test
// below run. After so many steps it kills itself, and it prints how many it took.
func TestWorkOfAChild(t *testing.T) {
	words := strings.Fields(os.Getenv(childHome))
	if len(words) != 4 {
		t.Skip("it is run by TestAKillBehindAnyStepOfTheHostHeals")
	}
	left, err := strconv.Atoi(os.Getenv(childSteps))
	must(t, err)
	steps := 0
	cgroups, err := cgroup.Detect()
	must(t, err)
	client, err := datastore.Dial(datastore.Endpoint{Address: "unix://" + words[0] + "/e/c:0"})
	must(t, err)
	ring, err := fixedRing()
	must(t, err)
	s := &site{ring: ring, etcd: words[3], store: client, home: home.Home{Dir: words[0], Instance: words[1]}}
	s.vault = New(Options{Home: s.home, Supervisor: words[2], Cgroups: cgroups, Step: func(string) {
		if steps++; steps == left {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {} // no further instruction
		}
	}})
	switch work := os.Getenv(childWork); work {
	case "take":
		s.take(t, "abcd", "/berth/one")
	case "verify":
		_, _, err = s.vault.Verify(t.Context(), "abcd", ring, s.etcd)
	case "restore":
		_, err = s.vault.Restore(t.Context(), "abcd", ring, s.restoration("/berth/one"))
	default:
		t.Fatalf("unknown work %q", work)
	}
	must(t, err)
	fmt.Printf("STEPS %d\n", steps)
}

// child runs work in a process of its own that dies after so many steps, 0: never.
func (s *site) child(t *testing.T, supervisor, work string, steps int) (taken int, killed bool) {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run", "^TestWorkOfAChild$")
	command.Env = append(os.Environ(), childHome+"="+strings.Join([]string{s.home.Dir, s.home.Instance, supervisor, s.etcd}, " "),
		childWork+"="+work, childSteps+"="+strconv.Itoa(steps))
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, is := exit.Sys().(syscall.WaitStatus)
		killed = is && status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	if err != nil && !killed {
		t.Fatalf("%s: %v\n%s", work, err, output)
	}
	if _, count, found := strings.Cut(string(output), "STEPS "); found {
		taken, err = strconv.Atoi(strings.Fields(count)[0])
		must(t, err)
	}
	return taken, killed
}

// crashSteps are after which steps the child dies: the first, one in the middle
// of the entries, and the last, which are about none; all in the soak.
func crashSteps(total int) []int {
	var steps []int
	for n := 1; n <= total; n++ {
		if os.Getenv("BERTH_E2E_SOAK") != "" || n == 1 || n == total/2 || n > total-3 {
			steps = append(steps, n)
		}
	}
	return steps
}

// TestAKillBehindAnyStepOfTheHostHeals kills a process behind steps of taking,
// checking and restoring a backup. What is left tells no lie, and the next
// process brings each to its end.
func TestAKillBehindAnyStepOfTheHostHeals(t *testing.T) {
	s := newSite(t)
	ring, err := fixedRing()
	must(t, err)
	s.ring = ring
	supervisor := filepath.Join(s.home.Dir, "berth-supervisor")
	fill := func() {
		for i := range crashEntries {
			s.put(t, fmt.Sprintf("/berth/one/configmaps/default/c%04d", i), fmt.Sprint(i))
		}
	}
	// truth holds what is on the disk against what it says.
	truth := func(when string) {
		t.Helper()
		file, err := s.vault.Open("abcd")
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		must(t, err)
		defer file.Close()
		if header, _, err := backup.Check(file, ring); err != nil || header.Keys != crashEntries {
			t.Fatalf("%s there is a backup that is none: %+v, %v", when, header, err)
		}
	}
	fill()
	for _, work := range []string{"take", "verify", "restore"} {
		before := func() { // what the work begins with
			switch work {
			case "take":
				must(t, s.vault.Remove(t.Context(), "abcd"))
			case "restore":
				_, err := s.store.Delete(t.Context(), "/berth/one/configmaps/default/c01", clientv3.WithPrefix())
				must(t, err)
				s.put(t, "/berth/one/configmaps/default/later", "made since")
			}
		}
		before()
		total, _ := s.child(t, supervisor, work, 0)
		if total < 5 {
			t.Fatalf("%s has %d steps", work, total)
		}
		points := crashSteps(total)
		t.Logf("%s: %d steps, killed behind %v", work, total, points)
		for _, n := range points {
			when := fmt.Sprintf("after a kill behind step %d of %s", n, work)
			before()
			if _, killed := s.child(t, supervisor, work, n); !killed {
				t.Fatalf("%s: the child was not killed", when)
			}
			truth(when)
			if _, killed := s.child(t, supervisor, work, 0); killed {
				t.Fatal("a child that has no steps to die behind died")
			}
			truth("the second time " + when)
			s.consistent(t, when)
		}
	}
	must(t, s.vault.Remove(t.Context(), "abcd"))
	if left, err := os.ReadDir(s.home.BackupsDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// consistent asserts that the backup is whole, that the range holds what it
// holds, and that no check is left over.
func (s *site) consistent(t *testing.T, when string) {
	t.Helper()
	if header, err := s.vault.Header("abcd"); err != nil || header.Keys != crashEntries {
		t.Fatalf("%s: %+v, %v", when, header, err)
	}
	answer, err := s.store.Get(t.Context(), "/berth/one/", clientv3.WithPrefix())
	must(t, err)
	if len(answer.Kvs) != crashEntries {
		t.Fatalf("%s there are %d keys, not %d", when, len(answer.Kvs), crashEntries)
	}
	for i, kv := range answer.Kvs {
		if string(kv.Value) != fmt.Sprint(i) {
			t.Fatalf("%s %s is %q", when, kv.Key, kv.Value)
		}
	}
	if left, err := filepath.Glob(s.home.BackupsDir() + "/scratch*"); err != nil || left != nil {
		t.Fatalf("%s a check is left over: %v, %v", when, left, err)
	}
}
