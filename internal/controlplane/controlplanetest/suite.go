// Package controlplanetest is the contract of controlplane.Runtime as tests:
// every driver passes Run. It knows no driver.
package controlplanetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/controlplane"
)

// Fixture is a driver on a host of its own.
type Fixture struct {
	// Open makes a Runtime on the host. Called again it stands for the daemon
	// that starts anew: nothing of the former one is left but what the host holds.
	Open func() controlplane.Runtime
	// Desired makes a control plane that the host can run; what it needs
	// besides (a namespace, an address) is there until the test ends.
	Desired func(t *testing.T) controlplane.Desired
	// Kill ends the process of a component as a crash would.
	Kill func(t *testing.T, pid int)
	// Put stores a word through the API server; Get reads it.
	Put func(t *testing.T, desired controlplane.Desired, word string)
	Get func(t *testing.T, desired controlplane.Desired) string
}

// The times that the contract allows; real API servers are slow to start on busy machines.
const (
	readyWithin    = 2 * time.Minute
	goneWithin     = time.Minute
	restartsWithin = 2 * time.Second
	pause          = 20 * time.Millisecond
)

// Run checks a driver. The control planes of a test are deleted at its end.
func Run(t *testing.T, newFixture func(t *testing.T) Fixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"a control plane becomes ready, is listed and is deleted":  lifecycle,
		"a restarted daemon adopts what runs":                      adoption,
		"two control planes do not share data":                     neighbours,
		"stop keeps the data":                                      stopKeepsData,
		"a dead component runs again":                              restart,
		"a desired state that makes no sense changes nothing":      refusal,
		"what is not known is stopped and deleted without a sound": unknown,
	} {
		t.Run(name, func(t *testing.T) { test(t, newFixture(t)) })
	}
}

func lifecycle(t *testing.T, fixture Fixture) {
	runtime, desired := fixture.Open(), planned(t, fixture)
	status := ready(t, runtime, desired)
	if status.Version != desired.Version {
		t.Errorf("version = %q, want %q", status.Version, desired.Version)
	}
	var names []string
	for _, component := range status.Components {
		names = append(names, component.Name)
	}
	want := []string{controlplane.Etcd, controlplane.Konnectivity, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler}
	if !slices.Equal(names, want) {
		t.Errorf("components = %v, want %v", names, want)
	}
	settled(t, runtime, desired)
	listed(t, runtime, desired.ID, true)
	begun := time.Now()
	gone(t, runtime, desired.ID)
	t.Logf("deleted after %v", time.Since(begun).Round(time.Millisecond))
	listed(t, runtime, desired.ID, false)
}

func adoption(t *testing.T, fixture Fixture) {
	desired := planned(t, fixture)
	runtime := fixture.Open()
	ready(t, runtime, desired)
	before := settled(t, runtime, desired)
	after := settled(t, fixture.Open(), desired)
	for i, component := range after.Components {
		if before.Components[i].PID != component.PID {
			t.Errorf("%s went from pid %d to %d", component.Name, before.Components[i].PID, component.PID)
		}
	}
	listed(t, fixture.Open(), desired.ID, true)
}

func neighbours(t *testing.T, fixture Fixture) {
	runtime := fixture.Open()
	one, other := planned(t, fixture), planned(t, fixture)
	ready(t, runtime, one)
	ready(t, runtime, other)
	fixture.Put(t, one, "one")
	fixture.Put(t, other, "other")
	if got := fixture.Get(t, one); got != "one" {
		t.Errorf("the first control plane holds %q", got)
	}
	gone(t, runtime, one.ID)
	listed(t, runtime, other.ID, true)
	if got := fixture.Get(t, other); got != "other" {
		t.Errorf("the second one holds %q once the first is gone", got)
	}
}

func stopKeepsData(t *testing.T, fixture Fixture) {
	runtime, desired := fixture.Open(), planned(t, fixture)
	ready(t, runtime, desired)
	fixture.Put(t, desired, "kept")
	before := settled(t, runtime, desired)
	ends(t, func() error { return runtime.Stop(context.Background(), desired.ID) })
	listed(t, runtime, desired.ID, true)
	ready(t, runtime, desired)
	if got := fixture.Get(t, desired); got != "kept" {
		t.Errorf("after a stop it holds %q", got)
	}
	after := settled(t, runtime, desired)
	for i, component := range after.Components {
		if before.Components[i].PID == component.PID {
			t.Errorf("%s was not stopped", component.Name)
		}
	}
}

func restart(t *testing.T, fixture Fixture) {
	runtime, desired := fixture.Open(), planned(t, fixture)
	ready(t, runtime, desired)
	for i := range settled(t, runtime, desired).Components {
		component := settled(t, runtime, desired).Components[i] // one that lost its API server may have died of it
		server := ready(t, runtime, desired).Server
		fixture.Kill(t, component.PID)
		died := time.Now()
		eventually(t, restartsWithin, func() error {
			status, err := runtime.Ensure(context.Background(), desired)
			if err != nil {
				return err
			}
			if now := status.Components[i]; now.PID == 0 || now.PID == component.PID {
				return fmt.Errorf("%s is not running again: %+v", component.Name, now)
			}
			return nil
		})
		t.Logf("%s ran again %v after its death", component.Name, time.Since(died).Round(time.Millisecond))
		if another := ready(t, runtime, desired).Server; component.Name == controlplane.APIServer && another == server || another == "" {
			t.Errorf("after the death of %s the API server that answers is %q, before it was %q", component.Name, another, server)
		}
		settled(t, runtime, desired)
	}
}

func refusal(t *testing.T, fixture Fixture) {
	runtime := fixture.Open()
	for name, spoil := range map[string]func(*controlplane.Desired){
		"an id that is a path": func(d *controlplane.Desired) { d.ID = "../x" },
		"root":                 func(d *controlplane.Desired) { d.UserID = 0 },
		"no credentials":       func(d *controlplane.Desired) { d.Credentials = nil },
		"no programs":          func(d *controlplane.Desired) { d.Binaries = nil },
	} {
		desired := planned(t, fixture)
		spoil(&desired)
		if _, err := runtime.Ensure(context.Background(), desired); err == nil {
			t.Errorf("%s was accepted", name)
		}
		listed(t, runtime, desired.ID, false)
	}
}

func unknown(t *testing.T, fixture Fixture) {
	runtime := fixture.Open()
	if err := runtime.Stop(context.Background(), "unknown"); err != nil {
		t.Errorf("Stop() = %v", err)
	}
	if err := runtime.Delete(context.Background(), "unknown"); err != nil {
		t.Errorf("Delete() = %v", err)
	}
}

// planned is a control plane that is gone after the test.
func planned(t *testing.T, fixture Fixture) controlplane.Desired {
	t.Helper()
	desired := fixture.Desired(t)
	t.Cleanup(func() { gone(t, fixture.Open(), desired.ID) })
	return desired
}

// ready ensures a control plane until it is ready.
func ready(t *testing.T, runtime controlplane.Runtime, desired controlplane.Desired) controlplane.Status {
	t.Helper()
	var status controlplane.Status
	begun := time.Now()
	var messages []string
	eventually(t, readyWithin, func() (err error) {
		if status, err = runtime.Ensure(context.Background(), desired); err != nil || status.Ready {
			return err
		}
		if status.Message == "" {
			t.Error("a control plane that is not ready does not say what it waits for")
		}
		if len(messages) == 0 || messages[len(messages)-1] != status.Message {
			messages = append(messages, status.Message)
		}
		return errors.New(status.Message)
	})
	t.Logf("ready after %v: %s", time.Since(begun).Round(time.Millisecond), strings.Join(messages, " | "))
	return status
}

// settled waits until every component runs.
func settled(t *testing.T, runtime controlplane.Runtime, desired controlplane.Desired) controlplane.Status {
	t.Helper()
	var status controlplane.Status
	eventually(t, readyWithin, func() (err error) {
		if status, err = runtime.Ensure(context.Background(), desired); err != nil {
			return err
		}
		for _, component := range status.Components {
			if component.PID == 0 {
				return fmt.Errorf("%s does not run: %+v", component.Name, component)
			}
		}
		return nil
	})
	return status
}

func gone(t *testing.T, runtime controlplane.Runtime, id string) {
	t.Helper()
	ends(t, func() error { return runtime.Delete(context.Background(), id) })
}

// ends calls until a deletion or a stop has ended; any error but ErrInProgress fails the test.
func ends(t *testing.T, call func() error) {
	t.Helper()
	eventually(t, goneWithin, func() error {
		err := call()
		if err != nil && !errors.Is(err, controlplane.ErrInProgress) {
			t.Fatal(err)
		}
		return err
	})
}

func listed(t *testing.T, runtime controlplane.Runtime, id string, want bool) {
	t.Helper()
	ids, err := runtime.List(context.Background())
	if err != nil || slices.Contains(ids, id) != want {
		t.Errorf("List() = %v, %v; with %s: want %v", ids, err, id, want)
	}
}

func eventually(t *testing.T, within time.Duration, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", within, err)
		}
		time.Sleep(pause)
	}
}
