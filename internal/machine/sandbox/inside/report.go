package inside

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
)

// The kernel's own view of processors and memory: what a machine's programs,
// cAdvisor in the kubelet above all, read to learn how big it is.
const (
	meminfo     = "/proc/meminfo"
	cpuinfo     = "/proc/cpuinfo"
	cpuTopology = "/sys/devices/system/cpu"
	memTopology = "/sys/devices/system/node"
)

// reportSize mounts generated files over the kernel's, so that the machine
// sees the size that it has. The mounts are the machine's own: its root could
// remove them, and would only mislead its own kubelet; the cgroup holds.
func reportSize(size machine.Size) error {
	kernel, err := os.ReadFile(cpuinfo)
	if err != nil {
		return err
	}
	var affinity unix.CPUSet
	if err := unix.SchedGetaffinity(0, &affinity); err != nil {
		return fmt.Errorf("asking for the processors of the host: %w", err)
	}
	host := processorsOf(affinity)
	links := processorLinks(size.CPUs, host)
	content := topology(size)
	// cAdvisor leaves a core out whose number is not online.
	content[cpuTopology+"/online"] = processorRange(max(size.CPUs, host[len(host)-1]+1)) + "\n"
	content[meminfo] = memoryInfo(size)
	content[cpuinfo] = processorInfo(string(kernel), size)
	for path, text := range content {
		staged := filepath.Join(reportDir, path)
		if err := os.MkdirAll(filepath.Dir(staged), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(staged, []byte(text), 0o444); err != nil {
			return err
		}
	}
	for cpu, name := range links {
		link := fmt.Sprintf("%s%s/node0/%s", reportDir, memTopology, name)
		if err := os.Symlink(fmt.Sprintf("../../cpu/cpu%d", cpu), link); err != nil {
			return err
		}
	}
	for _, path := range []string{meminfo, cpuinfo, cpuTopology, memTopology} {
		if err := cover(path); err != nil {
			return err
		}
	}
	return nil
}

// cover mounts the generated file or directory over the kernel's.
func cover(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // kernels without NUMA have no node topology
	}
	if err := unix.Mount(reportDir+path, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("covering %s: %w", path, err)
	}
	const flags = unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("", path, "", flags, ""); err != nil {
		return fmt.Errorf("making %s read-only: %w", path, err)
	}
	return nil
}

// processorsOf lists the processors that this process may run on.
func processorsOf(affinity unix.CPUSet) []int {
	var processors []int
	for cpu := 0; len(processors) < affinity.Count(); cpu++ {
		if affinity.IsSet(cpu) {
			processors = append(processors, cpu)
		}
	}
	return processors
}

// processorLinks names the machine's cores in the directory of its memory node,
// which is where cAdvisor learns how many there are and the kubelet which
// numbers they have. The kubelet gives its pods a cpuset of all these numbers,
// which the kernel refuses if the host has no such processor: so each core bears
// the number of a processor that the host has. A machine with more cores than
// that has several of the same number, told apart by leading zeros.
func processorLinks(cores int, host []int) []string {
	names := make([]string, cores)
	for core := range names {
		names[core] = "cpu" + strings.Repeat("0", core/len(host)) + strconv.Itoa(host[core%len(host)])
	}
	return names
}

// memoryInfo is a /proc/meminfo. Free memory is the total: how much is used is
// the business of the cgroup, which the kubelet reads.
func memoryInfo(size machine.Size) string {
	total := int64(size.MemoryMiB) * 1024
	lines := []struct {
		name  string
		value int64
	}{
		{"MemTotal", total},
		{"MemFree", total},
		{"MemAvailable", total},
		{"Buffers", 0},
		{"Cached", 0},
		{"SwapCached", 0},
		{"SwapTotal", 0},
		{"SwapFree", 0},
		{"Shmem", 0},
		{"SReclaimable", 0},
	}
	var text strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&text, "%-16s%8d kB\n", line.name+":", line.value)
	}
	text.WriteString("HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n" +
		"HugePages_Surp:        0\nHugepagesize:       2048 kB\n")
	return text.String()
}

// processorInfo is a /proc/cpuinfo with the host's first processor once for
// each of the machine's: one socket, one thread per core.
func processorInfo(host string, size machine.Size) string {
	first, _, _ := strings.Cut(host, "\n\n")
	var text strings.Builder
	for cpu := range size.CPUs {
		for line := range strings.SplitSeq(strings.TrimSpace(first), "\n") {
			label, _, found := strings.Cut(line, ":")
			if value, own := ownValue(strings.TrimSpace(label), cpu, size.CPUs); found && own {
				line = label + ": " + value
			}
			text.WriteString(line + "\n")
		}
		text.WriteString("\n")
	}
	return text.String()
}

// ownValue is what differs between one processor and the next.
func ownValue(label string, cpu, cpus int) (string, bool) {
	switch label {
	case "processor", "core id", "apicid", "initial apicid":
		return strconv.Itoa(cpu), true
	case "physical id":
		return "0", true
	case "siblings", "cpu cores":
		return strconv.Itoa(cpus), true
	}
	return "", false
}

// topology is the content of the sysfs directories of processors and memory
// nodes: one socket, one memory node, one thread per core.
func topology(size machine.Size) map[string]string {
	all := processorRange(size.CPUs)
	mask := cpuMask(0, size.CPUs)
	node := memTopology + "/node0"
	files := map[string]string{
		cpuTopology + "/online":                             all + "\n",
		cpuTopology + "/possible":                           all + "\n",
		cpuTopology + "/present":                            all + "\n",
		cpuTopology + "/offline":                            "\n",
		memTopology + "/online":                             "0\n",
		memTopology + "/possible":                           "0\n",
		memTopology + "/has_cpu":                            "0\n",
		node + "/cpulist":                                   all + "\n",
		node + "/cpumap":                                    mask + "\n",
		node + "/distance":                                  "10\n",
		node + "/meminfo":                                   fmt.Sprintf("Node 0 MemTotal:       %d kB\n", int64(size.MemoryMiB)*1024),
		node + "/hugepages/hugepages-2048kB/nr_hugepages":   "0\n",
		node + "/hugepages/hugepages-2048kB/free_hugepages": "0\n",
	}
	for cpu := range size.CPUs {
		dir := fmt.Sprintf("%s/cpu%d/topology", cpuTopology, cpu)
		files[dir+"/core_id"] = strconv.Itoa(cpu) + "\n"
		files[dir+"/physical_package_id"] = "0\n"
		files[dir+"/thread_siblings"] = cpuMask(cpu, 1) + "\n"
		files[dir+"/thread_siblings_list"] = strconv.Itoa(cpu) + "\n"
		files[dir+"/core_siblings"] = mask + "\n"
		files[dir+"/core_siblings_list"] = all + "\n"
	}
	return files
}

// processorRange is the kernel's form of the processors from 0 on.
func processorRange(count int) string {
	if count == 1 {
		return "0"
	}
	return "0-" + strconv.Itoa(count-1)
}

// cpuMask is the kernel's form of a set of count processors from first on:
// hexadecimal words of 32 processors, the highest first.
func cpuMask(first, count int) string {
	words := make([]uint32, (first+count+31)/32)
	for cpu := first; cpu < first+count; cpu++ {
		words[cpu/32] |= 1 << (cpu % 32)
	}
	parts := make([]string, len(words))
	for i, word := range words {
		parts[len(words)-1-i] = fmt.Sprintf("%08x", word)
	}
	return strings.Join(parts, ",")
}
