package app

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"berth.dev/berth/internal/backup/vault"
	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/controlplane/process"
	"berth.dev/berth/internal/dns/coredns"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/sandbox"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/linux"
	"berth.dev/berth/internal/network/prober"
)

// drivers are the three interfaces to the host, as this install has them, and
// the server of its zone.
type drivers struct {
	cgroups  cgroup.Hierarchy
	runtime  controlplane.Runtime
	provider machine.Provider
	disks    machine.Disks
	fabric   network.Fabric
	names    *coredns.Server
	prober   *prober.Prober
	backups  *vault.Vault
}

// newDrivers makes the drivers. supervisor is the path of the berth-supervisor
// program that outlives the daemon; beside it lies the prober.
func newDrivers(h home.Home, supervisor, probe string) (drivers, error) {
	cgroups, err := cgroup.Detect()
	if err != nil {
		return drivers{}, fmt.Errorf("looking at the host's cgroups: %w", err)
	}
	machines := sandbox.New(sandbox.Options{Home: h, Supervisor: supervisor, Cgroups: cgroups})
	return drivers{
		cgroups:  cgroups,
		runtime:  process.New(process.Options{Home: h, Supervisor: supervisor, Cgroups: cgroups}),
		provider: machines,
		disks:    machines,
		fabric:   linux.New(linux.Options{Instance: h.Instance, BalancerDir: prober.Dir(h)}),
		backups:  vault.New(vault.Options{Home: h, Supervisor: supervisor, Cgroups: cgroups}),
		names:    coredns.New(coredns.Options{Home: h, Supervisor: supervisor, Cgroups: cgroups}),
		prober:   prober.New(prober.Options{Home: h, Supervisor: supervisor, Program: probe, Cgroups: cgroups}),
	}, nil
}

// hostRoutes is how the host's routes are read.
func hostRoutes() func() ([]netip.Prefix, error) { return linux.HostRoutes }

// supervisorName is the program that stands beside every control plane and machine.
const supervisorName = "berth-supervisor"

// proberName is the program that asks the backends of balancers.
const proberName = "berth-prober"

// installSupervisor copies the supervisor that lies beside this program into
// the home, so that a rebuild or an upgrade of Berth disturbs nothing that runs.
func installSupervisor(h home.Home) (string, error) {
	return installBeside(h, supervisorName)
}

// installBeside copies a program that lies beside this one into the home.
func installBeside(h home.Home, name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	return h.InstallProgram(filepath.Join(filepath.Dir(self), name))
}

// instanceInUse says whether anything on this host carries an instance id.
func instanceInUse(instance string) bool {
	matches, err := filepath.Glob("/run/netns/berth-" + instance + "-*")
	if err != nil || len(matches) > 0 {
		return true
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/berth-" + instance)
	return err != nil || len(groups) > 0
}
