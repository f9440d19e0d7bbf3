package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// period is the length in microseconds over which a CPU quota is counted.
const period = 100_000

// setting is one file of a group and its value.
type setting struct{ file, value string }

// settings are the files that hold a group to its limits.
func (h Hierarchy) settings(limits Limits) []setting {
	var settings []setting
	add := func(limit int64, v1, v2 setting) {
		if limit == 0 {
			return
		}
		if h.version == 2 {
			v1 = v2
		}
		settings = append(settings, v1)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	quota := limits.MilliCPU * period / 1000
	add(limits.MilliCPU, setting{"cpu.cfs_quota_us", number(quota)}, setting{"cpu.max", fmt.Sprintf("%d %d", quota, period)})
	add(limits.CPUShares, setting{"cpu.shares", number(limits.CPUShares)}, setting{"cpu.weight", number(weight(limits.CPUShares))})
	add(limits.MemoryBytes, setting{"memory.limit_in_bytes", number(limits.MemoryBytes)}, setting{"memory.max", number(limits.MemoryBytes)})
	add(limits.Pids, setting{"pids.max", number(limits.Pids)}, setting{"pids.max", number(limits.Pids)})
	return settings
}

// weight maps v1's shares (2..262144, default 1024) to v2's weight (1..10000,
// default 100) so that the defaults meet, as systemd does.
func weight(shares int64) int64 {
	return min(max(shares*100/1024, 1), 10_000)
}

// set writes a setting in the tree that has its file.
func (h Hierarchy) set(name string, s setting) error {
	for _, tree := range h.trees {
		path := filepath.Join(tree, name, s.file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue // another controller's tree
		}
		return write(path, s.value)
	}
	return fmt.Errorf("setting %s: %w", s.file, ErrUnsupported)
}
