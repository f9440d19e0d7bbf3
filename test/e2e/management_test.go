//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// agree asserts that ARM and the objects of the management API tell the same
// of the cluster's pools, as an operator sees them.
func (c *cluster) agree(t *testing.T) {
	t.Helper()
	content := must(t, "admin", "kubeconfig")
	admin := &cluster{kubeconfig: filepath.Join(t.TempDir(), "admin.kubeconfig")}
	if err := os.WriteFile(admin.kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	list := must(t, "aks", "nodepool", "list", "-g", c.group, "--cluster-name", c.name,
		"--query", "[].[name, provisioningState]", "-o", "tsv")
	want := strings.Fields(list)
	// The pools' controller hears of the operation's end a moment after ARM's client does.
	admin.eventually(t, 5*time.Second, func(printed string) bool {
		got := strings.Fields(printed)
		if len(got) != len(want) {
			return false
		}
		told := map[string]string{}
		for i := 0; i < len(got); i += 2 {
			told[got[i]] = got[i+1]
		}
		for i := 0; i < len(want); i += 2 {
			if told[want[i]] != want[i+1] || want[i+1] != "Succeeded" {
				return false
			}
		}
		return true
	}, "get", "agentpools", "-o", `jsonpath={range .items[?(@.spec.clusterName=="`+c.object(t, admin)+`")]}{.spec.profile.name} {.status.provisioningState}{"\n"}{end}`)
}

// object is the name of the cluster's object in the management API.
func (c *cluster) object(t *testing.T, admin *cluster) string {
	t.Helper()
	return admin.must(t, "get", "managedclusters", "-o",
		`jsonpath={.items[?(@.spec.resourceGroup=="`+c.group+`")].metadata.name}`)
}
