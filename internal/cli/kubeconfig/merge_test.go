package kubeconfig

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// credentials is what the service answers for a role of the cluster demo.
func credentials(role, certificate string) []byte {
	return []byte(strings.NewReplacer("ROLE", role, "CERT", certificate).Replace(`apiVersion: v1
kind: Config
clusters: [{name: demo, cluster: {server: "https://198.18.0.16:443", certificate-authority-data: Y2E=}}]
users: [{name: clusterROLE_rg_demo, user: {client-certificate-data: CERT, client-key-data: a2V5}}]
contexts: [{name: demo, context: {cluster: demo, user: clusterROLE_rg_demo}}]
current-context: demo
`))
}

const others = `apiVersion: v1
kind: Config
preferences: {}
clusters: [{name: work, cluster: {server: "https://work.example", certificate-authority: work.crt}}]
users: [{name: me, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: Never}}}]
contexts: [{name: work, context: {cluster: work, user: me, namespace: team}}]
current-context: work
`

func load(t *testing.T, text []byte) *api.Config {
	t.Helper()
	config, err := clientcmd.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestMergingKeepsWhatElseIsInTheFile(t *testing.T) {
	merged, name, err := Merge([]byte(others), credentials("User", "Y2VydA=="), Options{})
	if err != nil {
		t.Fatal(err)
	}
	config := load(t, merged)
	if name != "demo" || config.CurrentContext != "demo" {
		t.Errorf("context %q, current %q, want demo", name, config.CurrentContext)
	}
	if config.Contexts["work"].Namespace != "team" || config.AuthInfos["me"].Exec.Command != "login" || config.Clusters["work"].CertificateAuthority != "work.crt" {
		t.Errorf("the work context changed:\n%s", merged)
	}
	if config.AuthInfos["clusterUser_rg_demo"] == nil || config.Contexts["demo"].Cluster != "demo" {
		t.Errorf("the credentials are not there:\n%s", merged)
	}
}

func TestTheAdminsContextHasAnEndingOfItsOwn(t *testing.T) {
	tests := []struct {
		name, role, context, want string
	}{
		{"a user", "User", "", "demo"},
		{"an admin", "Admin", "", "demo-admin"},
		{"a user with a name of their own", "User", "mine", "mine"},
		{"an admin with a name of their own", "Admin", "mine", "mine-admin"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			merged, name, err := Merge(nil, credentials(test.role, "Y2VydA=="), Options{Context: test.context})
			if err != nil || name != test.want {
				t.Fatalf("Merge() = %q, %v, want %q", name, err, test.want)
			}
			config := load(t, merged)
			context := config.Contexts[test.want]
			if len(config.Contexts) != 1 || context == nil || config.Clusters[context.Cluster] == nil || config.AuthInfos[context.AuthInfo] == nil {
				t.Errorf("the context does not hold together:\n%s", merged)
			}
		})
	}
}

func TestTheSameCredentialsMergeAgain(t *testing.T) {
	first, _, err := Merge([]byte(others), credentials("User", "Y2VydA=="), Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := Merge(first, credentials("User", "Y2VydA=="), Options{})
	if err != nil || string(second) != string(first) {
		t.Errorf("Merge() = %v:\n%s\nwant\n%s", err, second, first)
	}
}

func TestDifferentObjectsOfOneNameAreReplacedOnlyOnRequest(t *testing.T) {
	first, _, err := Merge(nil, credentials("User", "Y2VydA=="), Options{})
	if err != nil {
		t.Fatal(err)
	}
	// A cluster that was deleted and made again has another CA.
	anew := bytes.Replace(credentials("User", "bmV3"), []byte("Y2E="), []byte("bmV3IGNh"), 1)
	_, _, err = Merge(first, anew, Options{})
	if !errors.Is(err, ErrDifferent) || !strings.Contains(err.Error(), `cluster "demo"`) || !strings.Contains(err.Error(), `user "clusterUser_rg_demo"`) {
		t.Errorf("Merge() = %v, want %v", err, ErrDifferent)
	}
	merged, _, err := Merge(first, anew, Options{Overwrite: true})
	if err != nil || string(load(t, merged).AuthInfos["clusterUser_rg_demo"].ClientCertificateData) != "new" {
		t.Errorf("Merge() = %v:\n%s", err, merged)
	}
}

func TestAFreshCertificateForTheSameClusterIsNoConflict(t *testing.T) {
	first, _, err := Merge([]byte(others), credentials("User", "Y2VydA=="), Options{})
	if err != nil {
		t.Fatal(err)
	}
	merged, _, err := Merge(first, credentials("User", "bmV3"), Options{})
	if err != nil || string(load(t, merged).AuthInfos["clusterUser_rg_demo"].ClientCertificateData) != "new" {
		t.Errorf("Merge() = %v:\n%s", err, merged)
	}
}

func TestMalformedFilesStayAsTheyAreAndUnquoted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	broken := "users:\n- name: x\n  user: {token: my-secret-token\n"
	if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := MergeFile(t.Context(), file, credentials("User", "Y2VydA=="), Options{})
	if !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), "my-secret-token") {
		t.Errorf("MergeFile() = %v, want %v", err, ErrMalformed)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != broken {
		t.Errorf("the file holds %q, %v", content, err)
	}
	if _, _, err := Merge(nil, []byte("kind: Config\napiVersion: v1\n"), Options{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("Merge() of empty credentials = %v, want %v", err, ErrMalformed)
	}
}

func TestTheFileIsItsOwnersAloneAndLinksStay(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte(others), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if _, err := MergeFile(t.Context(), link, credentials("User", "Y2VydA=="), Options{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v now, %v", info.Mode(), err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAFileThatKubectlHoldsIsWaitedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	released := make(chan error, 1)
	timer := time.AfterFunc(100*time.Millisecond, func() { released <- os.Remove(file + ".lock") })
	defer timer.Stop()
	if _, err := MergeFile(t.Context(), file, credentials("User", "Y2VydA=="), Options{}); err != nil {
		t.Error(err)
	}
	if err := <-released; err != nil {
		t.Errorf("the lock of another program was taken away: %v", err)
	}
}
