//go:build e2e

package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/machinetest"
	"berth.dev/berth/internal/supervise"
)

// front and plain are the two ways to call nft in a machine.
const (
	front = "/opt/berth/bin/nft"
	plain = "/usr/sbin/nft"
)

// transaction is one as kube-proxy makes it for services of ten endpoints each: a
// chain and two rules an endpoint.
func transaction(table string, services int) []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "add table ip %s\n", table)
	for service := range services {
		for endpoint := range 10 {
			chain := fmt.Sprintf("%s endpoint-%d-%d-default/a-service-of-many/tcp/http__10.244.0.%d/8080", table, service, endpoint, endpoint)
			fmt.Fprintf(&text, "add chain ip %s\nadd rule ip %s ip saddr 10.244.0.%d meta mark set 0x4000\nadd rule ip %s meta l4proto tcp drop\n", chain, chain, endpoint, chain)
		}
	}
	return []byte(text.String())
}

// installNft puts the host's nft and its libraries into the node image.
func (h *host) installNft(t *testing.T) {
	t.Helper()
	listed, err := exec.Command("ldd", plain).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := []string{plain}
	for _, field := range strings.Fields(string(listed)) {
		if filepath.IsAbs(field) {
			files = append(files, field)
		}
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			err = os.MkdirAll(filepath.Join(h.image, filepath.Dir(file)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(h.image, file), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// ended waits until each component was done or died once.
func (h *host) ended(t *testing.T, desired machine.Desired) map[string]supervise.ComponentStatus {
	t.Helper()
	byName := map[string]supervise.ComponentStatus{}
	machinetest.Until(t, func(ctx context.Context) error {
		status, err := h.open().Ensure(ctx, desired)
		if err != nil {
			return err
		}
		for _, component := range status.Components {
			if component.Done || component.Restarts > 0 {
				byName[component.Name] = component
			}
		}
		if len(byName) < len(desired.Components) {
			return machine.ErrInProgress
		}
		return nil
	})
	return byName
}

func (h *host) log(t *testing.T, component string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/var/lib/berth/supervise/log/%s.log", h.firstProcess(t, "one"), component))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAMachineChangesMoreRulesAtOnceThanASocketOfItsOwnTakes(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	h.installNft(t)
	desired := h.desired("one")
	desired.Files["/etc/large"] = machine.File{Mode: 0o644, Content: transaction("large", 100)}
	desired.Components = []supervise.Component{
		{Name: "large", Once: true, Command: []string{front, "-f", "/etc/large"}},
		{Name: "again", Once: true, Command: []string{front, "--file", "/etc/large"}}, // over a socket that was used
		{Name: "list", Once: true, Command: []string{front, "list", "table", "ip", "large"}},
	}
	// At once, and more than there are sockets; each a table of its own.
	for i := range 4 {
		table := fmt.Sprintf("many-%d", i)
		desired.Files["/etc/"+table] = machine.File{Mode: 0o644, Content: transaction(table, 30)}
		desired.Components = append(desired.Components, supervise.Component{Name: table, Command: []string{front, "-f", "/etc/" + table}})
	}
	desired.Components = append(desired.Components, supervise.Component{Name: "plain", Command: []string{plain, "-f", "/etc/large"}})
	ended := h.ended(t, desired)
	for _, component := range desired.Components {
		exit, said := ended[component.Name].LastExit, h.log(t, component.Name)
		switch {
		case component.Name == "plain": // what is lent makes the difference
			if !strings.Contains(said, "Message too long") {
				t.Errorf("nft with a socket of its own: %q, %q", exit, said)
			}
		case component.Name == "list":
			if rules, want := strings.Count(said, "drop"), 2*100*10; rules != want { // written twice
				t.Errorf("%d rules are there, want %d", rules, want)
			}
		case strings.TrimSpace(said) != "" || strings.Contains(exit, "1"):
			t.Errorf("%s: %q, %q", component.Name, exit, said)
		}
	}
}
