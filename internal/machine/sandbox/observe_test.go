package sandbox

import (
	"testing"

	"berth.dev/berth/internal/machine"
)

func TestOnlyALivingFirstProcessOfTheMachinesOwnNamespaceCounts(t *testing.T) {
	for status, want := range map[string]bool{
		"Name:\tx\nState:\tS (sleeping)\nNSpid:\t4711\t1\n":     true,
		"Name:\tx\nState:\tZ (zombie)\nNSpid:\t4711\t1\n":       false,
		"Name:\tx\nState:\tS (sleeping)\nNSpid:\t4711\t12\n":    false, // another process of the machine
		"Name:\tx\nState:\tS (sleeping)\nNSpid:\t4711\t12\t1\n": false, // a pod's first process
		"Name:\tx\nState:\tS (sleeping)\nNSpid:\t4711\n":        false, // the launcher
		"": false,
	} {
		if got := isFirst([]byte(status)); got != want {
			t.Errorf("isFirst(%q) = %v, want %v", status, got, want)
		}
	}
}

func TestIDsThatLeadElsewhereAreRefused(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", "../a", "A", "-a", "a b"} {
		if checkID(id) == nil {
			t.Errorf("%q was accepted", id)
		}
	}
	if err := checkID("abc-123"); err != nil {
		t.Error(err)
	}
}

func TestAnIDRangeNeverHoldsIDsOfTheHost(t *testing.T) {
	desired := machine.Desired{ID: "a", Size: machine.Size{CPUs: 1, MemoryMiB: 1}, DiskGiB: 1, Image: "/image", IDRangeStart: 1000}
	if validate(desired) == nil {
		t.Error("a range from 1000 was accepted")
	}
	desired.IDRangeStart = 0x10000000
	if err := validate(desired); err != nil {
		t.Error(err)
	}
}
