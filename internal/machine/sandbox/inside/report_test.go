package inside

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth.dev/berth/internal/machine"
)

const hostProcessor = `processor	: 0
model name	: Some Processor
physical id	: 1
siblings	: 64
core id		: 17
cpu cores	: 32
apicid		: 35
flags		: fpu vme

processor	: 1
model name	: Some Processor
`

func TestProcessorInfoShowsTheMachinesProcessors(t *testing.T) {
	got := processorInfo(hostProcessor, machine.Size{CPUs: 2})
	want := `processor	: 0
model name	: Some Processor
physical id	: 0
siblings	: 2
core id		: 0
cpu cores	: 2
apicid		: 0
flags		: fpu vme

processor	: 1
model name	: Some Processor
physical id	: 0
siblings	: 2
core id		: 1
cpu cores	: 2
apicid		: 1
flags		: fpu vme

`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestMemoryInfoShowsTheMachinesMemory(t *testing.T) {
	got := memoryInfo(machine.Size{MemoryMiB: 3584})
	for _, want := range []string{"MemTotal:        3670016 kB\n", "MemAvailable:    3670016 kB\n", "SwapTotal:             0 kB\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no line %q in:\n%s", want, got)
		}
	}
}

func TestTopologyIsOneSocketWithOneThreadPerCore(t *testing.T) {
	files := topology(machine.Size{CPUs: 4, MemoryMiB: 1024})
	for path, want := range map[string]string{
		"/sys/devices/system/cpu/online":                            "0-3\n",
		"/sys/devices/system/cpu/cpu3/topology/core_id":             "3\n",
		"/sys/devices/system/cpu/cpu3/topology/physical_package_id": "0\n",
		"/sys/devices/system/node/node0/cpulist":                    "0-3\n",
		"/sys/devices/system/node/node0/meminfo":                    "Node 0 MemTotal:       1048576 kB\n",
	} {
		if files[path] != want {
			t.Errorf("%s = %q, want %q", path, files[path], want)
		}
	}
	if one := topology(machine.Size{CPUs: 1}); one["/sys/devices/system/cpu/online"] != "0\n" {
		t.Errorf("one processor is online as %q", one["/sys/devices/system/cpu/online"])
	}
}

func TestCoresBearNumbersOfProcessorsThatTheHostHas(t *testing.T) {
	for _, c := range []struct {
		cores int
		host  []int
		want  string
	}{
		{2, []int{0, 1, 2, 3}, "cpu0 cpu1"},
		{5, []int{0, 1}, "cpu0 cpu1 cpu00 cpu01 cpu000"},
		{3, []int{6, 7}, "cpu6 cpu7 cpu06"},
	} {
		if got := strings.Join(processorLinks(c.cores, c.host), " "); got != c.want {
			t.Errorf("%d cores on %v are %q, want %q", c.cores, c.host, got, c.want)
		}
	}
}

func TestMasksHaveThirtyTwoProcessorsAWord(t *testing.T) {
	for want, mask := range map[string]string{
		"00000001":          cpuMask(0, 1),
		"00000004":          cpuMask(2, 1),
		"ffffffff":          cpuMask(0, 32),
		"00000003,ffffffff": cpuMask(0, 34),
	} {
		if mask != want {
			t.Errorf("got %s, want %s", mask, want)
		}
	}
}

func TestHierarchiesAreReadFromTheCgroupTable(t *testing.T) {
	got := v1Hierarchies("9:name=systemd:/\n2:cpu,cpuacct:/a\n1:memory:/b\n0::/\n")
	if strings.Join(got, " ") != "name=systemd cpu,cpuacct memory" {
		t.Errorf("got %q", got)
	}
	if got := v1Hierarchies("0::/user.slice\n"); len(got) != 0 {
		t.Errorf("a host with v2 alone has the hierarchies %q", got)
	}
}

func TestAFileIsNeverWrittenThroughALink(t *testing.T) {
	dir := t.TempDir()
	precious, link := filepath.Join(dir, "precious"), filepath.Join(dir, "etc", "secret")
	if err := os.WriteFile(precious, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, link); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(link, machine.File{Mode: 0o600, Content: []byte("secret")}); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(precious); err != nil || string(content) != "kept" {
		t.Errorf("the link's target has %q, %v", content, err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

func TestARecordIsReadAsItWasWrittenAndForRootAlone(t *testing.T) {
	dir := t.TempDir()
	want := Record{Cgroup: "berth-test/machine-one", Desired: machine.Desired{ID: "one", Files: map[string]machine.File{"/a": {Mode: 0o600, Content: []byte{0, 255}}}}}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Cgroup != want.Cgroup || string(got.Desired.Files["/a"].Content) != "\x00\xff" || got.Desired.Files["/a"].Mode != 0o600 {
		t.Errorf("got %+v", got)
	}
	if info, err := os.Stat(filepath.Join(dir, RecordFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the record is %v, %v", info, err)
	}
}
