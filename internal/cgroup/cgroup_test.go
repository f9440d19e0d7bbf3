package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files in a directory that stands for /sys/fs/cgroup.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func v1(without ...string) map[string]string {
	files := map[string]string{}
	for _, name := range v1Controllers() {
		if !slices.Contains(without, name) {
			files[name+"/cgroup.procs"] = ""
		}
	}
	return files
}

func v2() map[string]string {
	return map[string]string{"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": "cpu\n", "cgroup.procs": ""}
}

func TestBothVersionsAreDetected(t *testing.T) {
	for _, test := range []struct {
		name    string
		files   map[string]string
		version int
		trees   int
	}{
		{"v1", v1(), 1, 9},
		{"v1 without a controller that Berth can do without", v1("blkio"), 1, 8},
		{"v2", v2(), 2, 1},
	} {
		got, err := detect(tree(t, test.files))
		if err != nil || got.Version() != test.version || len(got.Trees()) != test.trees {
			t.Errorf("%s: version %d with %d trees, %v", test.name, got.Version(), len(got.Trees()), err)
		}
	}
}

func TestControllersMountedTogetherAreOneTree(t *testing.T) {
	root := tree(t, v1("cpu", "cpuacct"))
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "cpu,cpuacct"), 0o755),
		os.WriteFile(filepath.Join(root, "cpu,cpuacct/cgroup.procs"), nil, 0o644),
		os.Symlink("cpu,cpuacct", filepath.Join(root, "cpu")), os.Symlink("cpu,cpuacct", filepath.Join(root, "cpuacct"))); err != nil {
		t.Fatal(err)
	}
	got, err := detect(root)
	if err != nil || len(got.Trees()) != 8 {
		t.Errorf("trees = %v, %v", got.Trees(), err)
	}
}

func TestAHostThatLacksAControllerIsToldWhich(t *testing.T) {
	lacking := v2()
	lacking["cgroup.controllers"] = "cpu io memory\n"
	for name, files := range map[string]map[string]string{"v1": v1("pids"), "v2": lacking} {
		if _, err := detect(tree(t, files)); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "pids") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLimitsAreTheFilesOfTheVersion(t *testing.T) {
	limits := Limits{MilliCPU: 1500, CPUShares: 2048, MemoryBytes: 1 << 30, Pids: 100}
	for version, want := range map[int][]setting{
		1: {{"cpu.cfs_quota_us", "150000"}, {"cpu.shares", "2048"}, {"memory.limit_in_bytes", "1073741824"}, {"pids.max", "100"}},
		2: {{"cpu.max", "150000 100000"}, {"cpu.weight", "200"}, {"memory.max", "1073741824"}, {"pids.max", "100"}},
	} {
		if got := (Hierarchy{version: version}).settings(limits); !slices.Equal(got, want) {
			t.Errorf("v%d: %v, want %v", version, got, want)
		}
	}
	if got := (Hierarchy{version: 2}).settings(Limits{}); len(got) != 0 {
		t.Errorf("no limits: %v", got)
	}
}

func TestWeightsStayInTheirRange(t *testing.T) {
	for shares, want := range map[int64]int64{2: 1, 1024: 100, 262144: 10000} {
		if got := weight(shares); got != want {
			t.Errorf("weight(%d) = %d, want %d", shares, got, want)
		}
	}
}

func TestAV2GroupIsMadeBelowOneThatHandsItsControllersDown(t *testing.T) {
	files := v2()
	files["berth-test/cgroup.controllers"] = "cpu memory pids\n"
	files["berth-test/cgroup.subtree_control"] = ""
	root := tree(t, files)
	hierarchy, err := detect(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := hierarchy.Create("berth-test/cp-a", Limits{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(root, "berth-test/cp-a")); err != nil || !info.IsDir() {
		t.Errorf("the group is not there: %v", err)
	}
	enabled, err := os.ReadFile(filepath.Join(root, "berth-test/cgroup.subtree_control"))
	if err != nil || len(enabled) == 0 {
		t.Errorf("its parent hands down %q, %v", enabled, err)
	}
}

func TestListingTellsSiblingsFromDescendants(t *testing.T) {
	files := v1()
	for _, name := range []string{"pids/berth-a/cp-1/inner", "memory/berth-a/cp-2", "pids/berth-a/machine-1", "pids/berth-b/cp-9"} {
		files[name+"/cgroup.procs"] = ""
	}
	hierarchy, err := detect(tree(t, files))
	if err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string][]string{
		"berth-a/cp-": {"berth-a/cp-1", "berth-a/cp-2"},
		"berth-a/":    {"berth-a/cp-1", "berth-a/cp-2", "berth-a/machine-1"},
		"berth-":      {"berth-a", "berth-b"},
		"none/":       nil,
	} {
		if got, err := hierarchy.List(prefix); err != nil || !slices.Equal(got, want) {
			t.Errorf("List(%q) = %v, %v, want %v", prefix, got, err, want)
		}
	}
}

func TestProcessesOfAllGroupsBelowAreFoundOnce(t *testing.T) {
	files := v1()
	files["pids/berth-a/cgroup.procs"] = "12\n7\n"
	files["pids/berth-a/inner/cgroup.procs"] = "0\n99\n"
	files["memory/berth-a/cgroup.procs"] = "12\n13\n"
	hierarchy, err := detect(tree(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := hierarchy.Processes("berth-a"); err != nil || !slices.Equal(got, []int{7, 12, 13, 99}) {
		t.Errorf("Processes() = %v, %v", got, err)
	}
	if got, err := hierarchy.Processes("berth-none"); err != nil || len(got) != 0 {
		t.Errorf("Processes() of no group = %v, %v", got, err)
	}
}

func TestNamesThatLeadOutOfTheTreeAreRefused(t *testing.T) {
	hierarchy, err := detect(tree(t, v1()))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "../x", "/x", "a/../..", "a//b", "a/"} {
		if hierarchy.Create(name, Limits{}) == nil || hierarchy.Join(name) == nil || hierarchy.Remove(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}
