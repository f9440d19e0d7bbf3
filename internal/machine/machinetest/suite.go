// Package machinetest is the conformance suite of machine.Provider: what every
// driver must do, whatever its machines are made of. A driver's test is one
// call of Run.
package machinetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"berth.dev/berth/internal/machine"
)

// patience is how long the suite waits for what a driver promised to bring about.
const patience = 30 * time.Second

// Harness is a driver under test.
type Harness struct {
	// Open returns a provider over the state that the harness keeps: each call
	// is a daemon that starts and finds what the one before it left.
	Open func() machine.Provider
	// Desired describes a small machine. Two ids get two id ranges.
	Desired func(id string) machine.Desired
	// Kill kills the machine's first process.
	Kill func(t *testing.T, id string)
}

// Run checks a driver. The factory returns a harness without machines and
// cleans up after it.
func Run(t *testing.T, factory func(t *testing.T) Harness) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"a machine runs, with a network namespace and its components", runs},
		{"ensuring a machine that runs changes nothing", isIdempotent},
		{"another daemon adopts a machine that runs", isAdopted},
		{"a machine whose first process was killed runs again", heals},
		{"a stopped machine stays stopped and known, and starts again", stops},
		{"a deleted machine is gone", deletes},
		{"deleting and stopping an unknown machine is done at once", ignoresUnknown},
		{"two machines live side by side", keepsApart},
		{"a deleted machine's id makes a new machine", startsAnew},
		{"a machine without size, disk or id range is refused", refuses},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, factory(t)) })
	}
}

func runs(t *testing.T, harness Harness) {
	provider := harness.Open()
	status := EnsureRunning(t, provider, harness.Desired("one"))
	if status.NetworkNamespace == "" {
		t.Error("a machine that runs has no network namespace")
	}
	AwaitComponents(t, provider, harness.Desired("one"))
	expectList(t, provider, "one")
	if provider.Isolation() != machine.IsolationUserNamespace {
		t.Errorf("unknown isolation class %q", provider.Isolation())
	}
}

func isIdempotent(t *testing.T, harness Harness) {
	provider := harness.Open()
	before := EnsureRunning(t, provider, harness.Desired("one"))
	after := EnsureRunning(t, provider, harness.Desired("one"))
	if before.NetworkNamespace != after.NetworkNamespace {
		t.Errorf("the network namespace changed from %s to %s", before.NetworkNamespace, after.NetworkNamespace)
	}
	expectList(t, provider, "one")
}

func isAdopted(t *testing.T, harness Harness) {
	before := EnsureRunning(t, harness.Open(), harness.Desired("one"))
	heir := harness.Open()
	expectList(t, heir, "one")
	if after := EnsureRunning(t, heir, harness.Desired("one")); after.NetworkNamespace != before.NetworkNamespace {
		t.Errorf("the network namespace changed from %s to %s", before.NetworkNamespace, after.NetworkNamespace)
	}
}

func heals(t *testing.T, harness Harness) {
	provider := harness.Open()
	EnsureRunning(t, provider, harness.Desired("one"))
	harness.Kill(t, "one")
	EnsureRunning(t, provider, harness.Desired("one"))
	AwaitComponents(t, provider, harness.Desired("one"))
}

func stops(t *testing.T, harness Harness) {
	provider := harness.Open()
	EnsureRunning(t, provider, harness.Desired("one"))
	Until(t, func(ctx context.Context) error { return provider.Stop(ctx, "one") })
	if err := provider.Stop(t.Context(), "one"); err != nil {
		t.Errorf("stopping a stopped machine: %v", err)
	}
	expectList(t, provider, "one")
	EnsureRunning(t, provider, harness.Desired("one"))
}

func deletes(t *testing.T, harness Harness) {
	provider := harness.Open()
	EnsureRunning(t, provider, harness.Desired("one"))
	Delete(t, provider, "one")
	expectList(t, provider)
	expectList(t, harness.Open())
}

func ignoresUnknown(t *testing.T, harness Harness) {
	provider := harness.Open()
	if err := provider.Delete(t.Context(), "nobody"); err != nil {
		t.Errorf("deleting an unknown machine: %v", err)
	}
	if err := provider.Stop(t.Context(), "nobody"); err != nil {
		t.Errorf("stopping an unknown machine: %v", err)
	}
	expectList(t, provider)
}

func keepsApart(t *testing.T, harness Harness) {
	provider := harness.Open()
	one := EnsureRunning(t, provider, harness.Desired("one"))
	two := EnsureRunning(t, provider, harness.Desired("two"))
	if one.NetworkNamespace == two.NetworkNamespace {
		t.Errorf("both machines have the network namespace %s", one.NetworkNamespace)
	}
	expectList(t, provider, "one", "two")
	Delete(t, provider, "one")
	expectList(t, provider, "two")
	if after := EnsureRunning(t, provider, harness.Desired("two")); after.NetworkNamespace != two.NetworkNamespace {
		t.Error("deleting one machine touched the other")
	}
}

func startsAnew(t *testing.T, harness Harness) {
	provider := harness.Open()
	EnsureRunning(t, provider, harness.Desired("one"))
	Delete(t, provider, "one")
	EnsureRunning(t, provider, harness.Desired("one"))
	expectList(t, provider, "one")
}

func refuses(t *testing.T, harness Harness) {
	provider := harness.Open()
	for name, spoil := range map[string]func(*machine.Desired){
		"no size":     func(d *machine.Desired) { d.Size = machine.Size{} },
		"no disk":     func(d *machine.Desired) { d.DiskGiB = 0 },
		"no id range": func(d *machine.Desired) { d.IDRangeStart = 0 },
		"no id":       func(d *machine.Desired) { d.ID = "" },
		"a path":      func(d *machine.Desired) { d.ID = "../one" },
	} {
		desired := harness.Desired("one")
		spoil(&desired)
		if _, err := provider.Ensure(t.Context(), desired); err == nil {
			t.Errorf("a machine with %s was accepted", name)
		}
	}
	expectList(t, provider)
}

func expectList(t *testing.T, provider machine.Provider, want ...string) {
	t.Helper()
	got, err := provider.List(t.Context())
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}

// EnsureRunning ensures a machine until it runs.
func EnsureRunning(t *testing.T, provider machine.Provider, desired machine.Desired) machine.Status {
	t.Helper()
	var status machine.Status
	Until(t, func(ctx context.Context) error {
		var err error
		status, err = provider.Ensure(ctx, desired)
		if err != nil {
			t.Fatalf("ensuring machine %s: %v", desired.ID, err)
		}
		if !status.Running {
			return machine.ErrInProgress
		}
		return nil
	})
	return status
}

// AwaitComponents ensures a machine until every component is reported and runs or is done.
func AwaitComponents(t *testing.T, provider machine.Provider, desired machine.Desired) {
	t.Helper()
	Until(t, func(ctx context.Context) error {
		status, err := provider.Ensure(ctx, desired)
		if err != nil {
			return err
		}
		if len(status.Components) != len(desired.Components) {
			return machine.ErrInProgress
		}
		for _, component := range status.Components {
			if component.PID == 0 && !component.Done {
				return machine.ErrInProgress
			}
		}
		return nil
	})
}

// Delete deletes a machine until it is gone.
func Delete(t *testing.T, provider machine.Provider, id string) {
	t.Helper()
	Until(t, func(ctx context.Context) error { return provider.Delete(ctx, id) })
}

// Until calls do until it returns nil. Only ErrInProgress is tried again; the
// interface has nothing to watch.
func Until(t *testing.T, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do(ctx)
		if err == nil {
			return
		}
		if !errors.Is(err, machine.ErrInProgress) {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not done after %s: %v", patience, err)
		case <-tick.C:
		}
	}
}
