//go:build e2e

package az

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cluster is the ARM id of the cluster one.
func cluster(t *testing.T) string {
	t.Helper()
	return az(t, "aks show -g apps -n one --query id -o tsv")
}

// change does with the cluster one what people do from day to day.
func change(t *testing.T) {
	const pool = " -g apps --cluster-name one -n extra"
	az(t, "aks nodepool add"+pool+" -c 1 -s Standard_B2s --labels tier=extra --mode User")
	expect(t, "2", "aks nodepool scale"+pool+" -c 2 --query count -o tsv")
	expect(t, "2 Succeeded", "aks nodepool show"+pool+" --query [count,provisioningState] -o tsv")
	expect(t, "extra nodepool1", "aks nodepool list -g apps --cluster-name one --query sort([].name) -o tsv")
	az(t, "aks nodepool delete"+pool)
	az(t, "aks scale -g apps -n one --nodepool-name nodepool1 -c 2 --no-wait")
	az(t, "aks wait -g apps -n one --updated --interval 1")
	expect(t, "one", "resource list --tag team=web --query [].name -o tsv")
	expect(t, "shop", "aks update -g apps -n one --tags team=shop --query tags.team -o tsv")
	id := cluster(t)
	expect(t, "v", "resource tag --ids "+id+" --tags k=v --query tags.k -o tsv")
	az(t, "aks wait -g apps -n one --updated --interval 1")
	expect(t, "b v", "tag update --resource-id "+id+" --operation merge --tags a=b --query [properties.tags.a,properties.tags.k] -o tsv")
	expect(t, "b", "aks show -g apps -n one --query tags.a -o tsv")
	if names := az(t, "tag list --query [].tagName -o tsv"); !strings.Contains(names, "k") {
		t.Errorf("the tags are %q", names)
	}
}

// keepIdentity deletes the identity of the cluster two, once the cluster is gone.
func keepIdentity(t *testing.T) {
	expect(t, "worker", "identity list -g apps --query [].name -o tsv")
	expect(t, "b", "identity show -g apps -n worker --query tags.a -o tsv")
	expect(t, "two", "identity list-resources -g apps -n worker --query [].name -o tsv")
	refused(t, "is in use by the managed cluster 'two'", "identity delete -g apps -n worker")
	const credential = " -g apps --identity-name worker -n pod"
	const trust = credential + " --issuer https://issuer.example --audiences api://AzureADTokenExchange --query subject -o tsv --subject "
	expect(t, "a", "identity federated-credential create"+trust+"a")
	expect(t, "b", "identity federated-credential update"+trust+"b")
	expect(t, "pod", "identity federated-credential list -g apps --identity-name worker --query [].name -o tsv")
	expect(t, "b", "identity federated-credential show"+credential+" --query subject -o tsv")
	az(t, "identity federated-credential delete"+credential+" --yes")
	expect(t, "SystemAssigned", "aks update -g apps -n two --enable-managed-identity --yes --query identity.type -o tsv")
	expect(t, "", "identity list-resources -g apps -n worker --query [].name -o tsv")
	az(t, "aks delete -g apps -n two --yes")
	az(t, "identity delete -g apps -n worker")
	expect(t, "", "identity list -g apps --query [].name -o tsv")
}

// runCommands runs a script that was attached, which az prints the output of,
// and one that is asked for later.
func runCommands(t *testing.T) {
	script := filepath.Join(t.TempDir(), "look.sh")
	if err := os.WriteFile(script, []byte("kubectl get nodes -o name\nexit 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	printed, err := service.run("az", "aks", "command", "invoke", "-g", "apps", "-n", "one", "-c", "sh look.sh", "-f", script)
	if err != nil || !strings.Contains(printed, "exitcode=7") || !strings.Contains(printed, "node/aks-nodepool1-") {
		t.Errorf("printed %q, %v", printed, err)
	}
	accepted, err := service.run("az", "aks", "command", "invoke", "-g", "apps", "-n", "one", "-c", "echo later", "--no-wait")
	_, after, found := strings.Cut(accepted, "command id: ")
	if err != nil || !found {
		t.Fatalf("printed %q, %v", accepted, err)
	}
	id, _, _ := strings.Cut(after, ",")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		printed := az(t, "aks command result -g apps -n one -i "+id)
		if strings.Contains(printed, "later") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the result is still %q", printed)
		}
	}
}

// monitor holds the kubeconfig for monitoring to reading.
func monitor(t *testing.T) {
	id := cluster(t)
	encoded := az(t, "rest --method post --url "+id+"/listClusterMonitoringUserCredential?api-version=2025-02-01 --query kubeconfigs[0].value -o tsv")
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for line, allowed := range map[string]bool{
		"get nodes": true, "get pods -A": true, "get --raw /metrics": true,
		"get secrets -A": false, "get configmaps -A": false, "create namespace x": false, "delete pods --all -n kube-system": false,
	} {
		printed, err := service.run(service.kubectl, append([]string{"--kubeconfig", file}, strings.Fields(line)...)...)
		if allowed != (err == nil) || !allowed && !strings.Contains(err.Error(), "Forbidden") && !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("kubectl %s: %.200q, %v", line, printed, err)
		}
	}
}

// giveRole lets a service principal read the cluster, and not any more.
func giveRole(t *testing.T) {
	id := cluster(t)
	var principal struct{ AppID, Password, Tenant string }
	printed, err := service.run("berth", "ad", "sp", "create-for-rbac", "--name", "reader")
	if err == nil {
		err = json.Unmarshal([]byte(printed), &principal)
	}
	if err != nil {
		t.Fatal(err)
	}
	other := *service
	other.config = filepath.Join(t.TempDir(), "az")
	if err := exec.Command("cp", "-a", service.config, other.config).Run(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(principal.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := other.run("az", "account", "clear"); err != nil {
		t.Fatal(err)
	}
	login := []string{"login", "--service-principal", "-u", principal.AppID, "-p", "@" + file, "--tenant", principal.Tenant}
	if _, err := other.run("az", append(login, "--allow-no-subscriptions")...); err != nil {
		t.Fatal(err)
	}
	read := []string{"rest", "--method", "get", "--url", id + "?api-version=2025-02-01", "--query", "name", "-o", "tsv"}
	if printed, err := other.run("az", read...); err == nil {
		t.Errorf("before it has a role it reads %q", printed)
	}
	object, err := service.run("berth", "ad", "sp", "show", "--id", principal.AppID, "--query", "id", "-o", "tsv")
	if err != nil {
		t.Fatal(err)
	}
	// az 2.45 of this distribution cannot make an assignment by its own command:
	// it stumbles over the library that it is packaged with, before it asks.
	refused(t, "object has no attribute 'config'", "role assignment create --assignee-object-id "+strings.TrimSpace(object)+
		" --assignee-principal-type ServicePrincipal --role Reader --scope "+id)
	assignment := id + "/providers/Microsoft.Authorization/roleAssignments/5f0e5d0c-6c1c-4c53-9a55-3a1d1f7c1b11"
	const reader = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
	az(t, "rest --method put --url "+assignment+"?api-version=2022-04-01"+` --body {"properties":{"principalId":"`+strings.TrimSpace(object)+`","principalType":"ServicePrincipal","roleDefinitionId":"`+reader+`"}}`)
	// Only now is there a subscription to log in to.
	eventually(t, func() bool { _, err := other.run("az", login...); return err == nil })
	eventually(t, func() bool {
		printed, err := other.run("az", read...)
		return err == nil && strings.TrimSpace(printed) == "one"
	})
	if _, err := other.run("az", "rest", "--method", "delete", "--url", id+"?api-version=2025-02-01"); err == nil || !strings.Contains(err.Error(), "AuthorizationFailed") {
		t.Errorf("a reader deletes the cluster: %v", err)
	}
	az(t, "role assignment delete --ids "+assignment)
	eventually(t, func() bool { _, err := other.run("az", read...); return err != nil })
}

// eventually waits as long as a change of role may take.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("it takes no effect")
		}
	}
}
