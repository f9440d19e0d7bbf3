package fake_test

import (
	"errors"
	"testing"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/fake"
	"berth.dev/berth/internal/machine/machinetest"
	"berth.dev/berth/internal/supervise"
)

func desired(id string) machine.Desired {
	return machine.Desired{
		ID: id, NodeName: id, Size: machine.Size{CPUs: 2, MemoryMiB: 1024}, DiskGiB: 1, IDRangeStart: 0x10000000,
		Components: []supervise.Component{{Name: "containerd"}, {Name: "images", Once: true}},
	}
}

func TestTheFakeKeepsTheProvidersContract(t *testing.T) {
	machinetest.Run(t, func(*testing.T) machinetest.Harness {
		state := fake.NewState()
		return machinetest.Harness{
			Open:    func() machine.Provider { return fake.New(state) },
			Desired: desired,
			Kill:    func(_ *testing.T, id string) { state.Kill(id) },
		}
	})
}

func TestTheFakeFailsUntilToldOtherwise(t *testing.T) {
	state := fake.NewState()
	provider := fake.New(state)
	state.Fail("one", machine.ErrNoCapacity)
	if _, err := provider.Ensure(t.Context(), desired("one")); !errors.Is(err, machine.ErrNoCapacity) {
		t.Fatalf("got %v, want ErrNoCapacity", err)
	}
	state.Fail("one", nil)
	if _, err := provider.Ensure(t.Context(), desired("one")); err != nil {
		t.Fatal(err)
	}
	if got, found := state.Desired("one"); !found || got.NodeName != "one" {
		t.Fatalf("the fake remembers %v, %v", got, found)
	}
}
