package fake

import (
	"net/netip"
	"testing"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/controlplane/controlplanetest"
)

func TestTheFakeKeepsTheContract(t *testing.T) {
	controlplanetest.Run(t, func(*testing.T) controlplanetest.Fixture {
		runtime := &Runtime{Steps: 3}
		words := map[string]string{}
		return controlplanetest.Fixture{
			Open: func() controlplane.Runtime { return runtime },
			Desired: func(t *testing.T) controlplane.Desired {
				return controlplanetest.Desired(t, netip.MustParseAddr("198.18.0.16"))
			},
			Kill: func(_ *testing.T, pid int) { runtime.Kill(pid) },
			Put:  func(_ *testing.T, desired controlplane.Desired, word string) { words[desired.ID] = word },
			Get:  func(_ *testing.T, desired controlplane.Desired) string { return words[desired.ID] },
		}
	})
}
