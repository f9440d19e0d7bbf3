package networktest

import "testing"

func runPackets(t *testing.T, factory func(t *testing.T) Harness) {}
