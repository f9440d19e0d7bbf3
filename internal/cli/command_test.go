package cli

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runsCommands is a double that runs commands: the result is there at the second look.
func runsCommands(t *testing.T, result object) (d *double, sent *object) {
	t.Helper()
	d, sent = withCluster(t), &object{}
	const id = "0123456789abcdef0123456789abcdef"
	looks, inner := 0, d.Config.Handler
	d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		location := d.URL + "/subscriptions/" + subscription + "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo/commandResults/" + id + "?api-version=2025-02-01"
		w.Header().Set("retry-after-ms", "1")
		switch {
		case strings.HasSuffix(r.URL.Path, "/runCommand"):
			if err := json.NewDecoder(r.Body).Decode(sent); err != nil {
				t.Error(err)
			}
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusAccepted)
		case strings.HasSuffix(r.URL.Path, "/commandResults/"+id):
			if looks++; looks < 2 {
				w.Header().Set("Location", location)
				answer(w, http.StatusAccepted, object{"properties": object{"phase": "Running", "message": "running on node one"}})
				return
			}
			answer(w, http.StatusOK, object{"id": id, "properties": result})
		default:
			inner.ServeHTTP(w, r)
		}
	})
	return d, sent
}

func TestInvokingACommandPrintsItsOutputAndFailsAsItDoes(t *testing.T) {
	d, sent := runsCommands(t, object{"provisioningState": "Succeeded", "exitCode": 0, "logs": "hello\n"})
	file := filepath.Join(t.TempDir(), "run.sh")
	if err := os.WriteFile(file, []byte("echo hello"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, errs, code := d.run("aks", "command", "invoke", "-g", "rg", "-n", "demo", "-c", "sh run.sh", "-f", file)
	if code != 0 || out != "hello\n" || !strings.Contains(errs, "running on node one") {
		t.Fatalf("exit code %d, printed %q, %q", code, out, errs)
	}
	packed, err := base64.StdEncoding.DecodeString((*sent)["context"].(string))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil || len(archive.File) != 1 || archive.File[0].Name != "run.sh" || archive.File[0].Mode() != 0o755 || (*sent)["command"] != "sh run.sh" {
		t.Errorf("sent %v, %v", *sent, err)
	}

	d, _ = runsCommands(t, object{"provisioningState": "Succeeded", "exitCode": 4, "logs": "no"})
	if out, errs, code := d.run("aks", "command", "invoke", "-g", "rg", "-n", "demo", "-c", "false"); code != 1 || out != "no\n" || !strings.Contains(errs, "exit code 4") {
		t.Errorf("a command that fails: exit code %d, printed %q, %q", code, out, errs)
	}
	d, _ = runsCommands(t, object{"provisioningState": "Failed", "reason": "DeadlineExceeded: too long", "logs": "some"})
	if out, errs, code := d.run("aks", "command", "invoke", "-g", "rg", "-n", "demo", "-c", "sleep 9999"); code != 1 || out != "some\n" || !strings.Contains(errs, "DeadlineExceeded: too long") {
		t.Errorf("a command that never ends: exit code %d, printed %q, %q", code, out, errs)
	}
}

func TestTheResultOfACommandCanBeAskedForLater(t *testing.T) {
	d, _ := runsCommands(t, object{"provisioningState": "Succeeded", "exitCode": 0, "logs": "hello\n"})
	_, errs, code := d.run("aks", "command", "invoke", "-g", "rg", "-n", "demo", "-c", "id", "--no-wait")
	const ask = "berth aks command result --resource-group rg --name demo --command-id 0123456789abcdef0123456789abcdef"
	if code != 0 || !strings.Contains(errs, ask) {
		t.Fatalf("exit code %d, %q", code, errs)
	}
	words := strings.Fields(ask)[1:]
	if _, errs, code := d.run(words...); code != 1 || !strings.Contains(errs, "still runs") {
		t.Errorf("while it runs: exit code %d, %q", code, errs)
	}
	if out := d.must(words...); out != "hello\n" {
		t.Errorf("printed %q", out)
	}
	if out := d.must(append(words, "--query", "exitCode", "-o", "tsv")...); out != "0\n" {
		t.Errorf("printed %q", out)
	}
	if _, errs, code := d.run("aks", "command", "invoke", "-g", "rg", "-n", "demo", "-c", "id", "-f", t.TempDir()); code != 2 || !strings.Contains(errs, `attach "."`) {
		t.Errorf("attaching a directory: exit code %d, %q", code, errs)
	}
}
