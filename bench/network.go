package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The figures of the network: shares of, and multiples of, the same hops by hand.
const (
	leastInside = 0.95
	leastPublic = 0.90
	mostLatency = 1.2
	mostCost    = 1.1
)

// networkFigures are what the driver's measurement writes for one way.
type networkFigures struct {
	// Throughput is in bytes a second, Cost in processor seconds a gigabyte,
	// Latency the 99th percentile of a byte's way there and back, in seconds.
	Throughput, Cost, Latency []float64
}

// measureNetwork has the driver's test measure the ways through a network and
// the same hops made by hand, interleaved, seven times each.
func measureNetwork(ctx context.Context, scratch string) ([]samples, error) {
	file := filepath.Join(scratch, "network.json")
	command := exec.CommandContext(ctx, "go", "test", "-tags", "e2e", "-count", "1", "-run", "TestTheRulesCostLittleAgainstTheSameHopsByHand", "./internal/network/linux")
	command.Env = append(os.Environ(), "BERTH_NETWORK_FIGURES="+file)
	if printed, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("measuring the ways through a network: %w\n%s", err, printed)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var measured map[string]networkFigures
	if err := json.Unmarshal(data, &measured); err != nil {
		return nil, fmt.Errorf("reading the figures of the network: %w", err)
	}
	var all []samples
	for _, way := range []struct {
		key, name string
		least     float64
	}{{"inside", "pod to pod on two nodes", leastInside}, {"public", "public address to pod", leastPublic}} {
		berth, hand := measured[way.key], measured[way.key+" by hand"]
		all = append(all,
			samples{name: way.name + ": throughput", unit: "MB/s", higher: true, values: scaled(berth.Throughput, perMB), baseline: scaled(hand.Throughput, perMB), limit: way.least},
			samples{name: way.name + ": processor time of a GB", values: berth.Cost, baseline: hand.Cost, limit: mostCost},
			samples{name: way.name + ": one byte there and back, p99", unit: "us", values: scaled(berth.Latency, microseconds), baseline: scaled(hand.Latency, microseconds), limit: mostLatency})
	}
	return all, nil
}

// The factors from what is measured to what is shown.
const (
	perMB        = 1e-6
	microseconds = 1e6
)

func scaled(values []float64, factor float64) []float64 {
	out := make([]float64, len(values))
	for i, value := range values {
		out[i] = value * factor
	}
	return out
}
