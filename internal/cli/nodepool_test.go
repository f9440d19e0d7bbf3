package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pooled is a service with a cluster and a function that runs a command on its pool extra.
func pooled(t *testing.T) (d *double, on func(verb string, flags ...string) []string) {
	t.Helper()
	d = newService(t)
	d.must("group", "create", "-n", "rg")
	d.must("aks", "create", "-g", "rg", "-n", "demo", "-c", "1", "-s", "Standard_B2s")
	return d, func(verb string, flags ...string) []string {
		return append([]string{"aks", "nodepool", verb, "-g", "rg", "--cluster-name", "demo", "--nodepool-name", "extra"}, flags...)
	}
}

func TestAPoolIsMadeWithSettingsAndChangedThroughTheRealFrontEnd(t *testing.T) {
	d, on := pooled(t)
	kubelet, system := filepath.Join(t.TempDir(), "kubelet.json"), filepath.Join(t.TempDir(), "system.json")
	for file, content := range map[string]string{
		kubelet: `{"podMaxPids": 500, "cpuCfsQuotaPeriod": "50ms"}`, system: `{"sysctls": {"netCoreSomaxconn": 8192, "netIpv4TcpTwReuse": true}}`,
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.must(on("add", "-c", "1", "-s", "Standard_B2s", "--zones", "1", "2", "--max-surge", "2", "--max-unavailable", "1",
		"--kubelet-config", kubelet, "--linux-os-config", system)...)
	query := "[availabilityZones[1], upgradeSettings.maxSurge, kubeletConfig.podMaxPids, kubeletConfig.cpuCfsQuotaPeriod, linuxOSConfig.sysctls.netCoreSomaxconn, linuxOSConfig.sysctls.netIpv4TcpTwReuse]"
	if got := d.must(on("show", "--query", query, "-o", "tsv")...); got != "2\n2\n500\n50ms\n8192\ntrue\n" {
		t.Errorf("show printed %q", got)
	}

	out, errs, code := d.run(on("update", "--labels", "tier=gold", "team=a", "--node-taints", "gold=only:NoSchedule", "--drain-timeout", "7")...)
	if code != 0 || !strings.Contains(errs, "Updating node pool extra") || !strings.Contains(errs, "ControlPlaneReady: etcd starts") {
		t.Fatalf("update: exit code %d: %s%s", code, out, errs)
	}
	d.must(on("update", "--labels", "tier=silver", "--mode", "System")...)
	d.must(on("update", "--node-taints", "", "--scale-down-mode", "Deallocate")...)
	d.must(on("scale", "-c", "2", "--ignore-pdb")...)
	query = "[count, mode, nodeLabels.tier, nodeLabels.team, nodeTaints, scaleDownMode, upgradeSettings.maxSurge, upgradeSettings.drainTimeoutInMinutes]"
	if got := d.must(on("show", "--query", query, "-o", "tsv")...); got != "2\nSystem\nsilver\nNone\nNone\nDeallocate\n2\n7\n" {
		t.Errorf("show printed %q", got)
	}
	if got := d.must(on("get-upgrades", "--query", "osType", "-o", "tsv")...); got != "Linux\n" {
		t.Errorf("get-upgrades printed %q", got)
	}
	d.must(on("upgrade", "--max-surge", "33%", "--undrainable-node-behavior", "cordon")...)
	d.must(on("stop", "--ignore-pdb")...)
	d.must(on("start")...)
	d.must(on("delete", "--ignore-pdb")...)
	if got := d.must("aks", "nodepool", "list", "-g", "rg", "--cluster-name", "demo", "--query", "[].name", "-o", "tsv"); got != "nodepool1\n" {
		t.Errorf("list printed %q", got)
	}
}

func TestWhatAPoolCannotHaveIsRefusedAndNamesWhatCan(t *testing.T) {
	d, on := pooled(t)
	d.must(on("add", "-c", "1", "-s", "Standard_B2s")...)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a downgrade":                    {on("upgrade", "-k", "1.20.1"), []string{"1.20.1"}},
		"a rollback without an upgrade":  {on("rollback", "--yes"), []string{"(OperationNotAllowed)", "was not upgraded"}},
		"a machine that is not there":    {on("delete-machines", "--machine-names", "aks-no"), []string{"has no machine 'aks-no'"}},
		"surge and unavailable 0":        {on("update", "--max-surge", "0"), []string{"maxSurge 0 and maxUnavailable 0"}},
		"a drain timeout out of range":   {on("update", "--drain-timeout", "1441"), []string{"drainTimeoutInMinutes"}},
		"a reserved label":               {on("update", "--labels", "kubernetes.azure.com/x=y"), []string{"reserved"}},
		"a taint without effect":         {on("update", "--node-taints", "gold=only"), []string{"key=value:effect"}},
		"the last pool of mode System":   {[]string{"aks", "nodepool", "update", "-g", "rg", "--cluster-name", "demo", "-n", "nodepool1", "--mode", "User"}, []string{"system pool"}},
		"an update that changes nothing": {on("update"), []string{"at least one of the flags"}},
		"image and version at once":      {on("upgrade", "--node-image-only", "-k", "1.36"), []string{"none of the others can be"}},
		"settings that are no JSON":      {on("add", "--kubelet-config", "/dev/null"), []string{"exists already"}},
		"a pool that is not there":       {[]string{"aks", "nodepool", "stop", "-g", "rg", "--cluster-name", "demo", "-n", "none"}, []string{"Could not find the agent pool"}},
	} {
		out, errs, code := d.run(c.args...)
		if code == 0 {
			t.Errorf("%s succeeds: %s", name, out)
		}
		for _, want := range c.want {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: %q is not in %s", name, want, errs)
			}
		}
	}
	swap := filepath.Join(t.TempDir(), "system.json")
	if err := os.WriteFile(swap, []byte(`{"swapFileSizeMB": 1500, "sysctls": {"vmSwappiness": 10}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, code := d.run("aks", "nodepool", "add", "-g", "rg", "--cluster-name", "demo", "-n", "swap", "-c", "1", "-s", "Standard_B2s", "--linux-os-config", swap)
	if code == 0 || !strings.Contains(errs, "swapFileSizeMB") || !strings.Contains(errs, "vmSwappiness") || !strings.Contains(errs, "vm or host") {
		t.Errorf("settings of the host's kernel: exit code %d: %s", code, errs)
	}
}

func TestAConflictingCommandWaitsItsTurnIfItIsToldTo(t *testing.T) {
	d, on := pooled(t)
	d.must(on("add", "-c", "1", "-s", "Standard_B2s")...)
	d.must(on("scale", "-c", "2", "--no-wait")...)
	refused := func(want string, args ...string) {
		t.Helper()
		if _, errs, code := d.run(args...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("exit code %d, want a refusal with %q: %s", code, want, errs)
		}
	}
	refused("in progress since", on("scale", "-c", "3")...)
	for _, verb := range [][]string{{"scale", "-c", "3"}, {"update", "--labels", "a=b"}, {"upgrade", "-k", "1.35.4"}, {"stop"}, {"delete"}} {
		d.must(on(verb[0], append(verb[1:], "--queue", "--no-wait")...)...)
	}
	refused("in progress since", on("scale", "-c", "4", "--no-wait")...)
	refused("Could not find", "aks", "nodepool", "scale", "-g", "rg", "--cluster-name", "demo", "-n", "none", "-c", "1", "--queue")
}
