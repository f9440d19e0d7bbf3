package frontend_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/command"
)

// commands reads all commands.
func (r *rig) commands() []containerservicev1alpha1.ClusterCommand {
	r.t.Helper()
	var list containerservicev1alpha1.ClusterCommandList
	if err := r.store.List(r.t.Context(), &list); err != nil {
		r.t.Fatal(err)
	}
	return list.Items
}

// attached is a zip file with one file, in base64.
func attached(t *testing.T, name string, content []byte) string {
	t.Helper()
	var packed bytes.Buffer
	out := zip.NewWriter(&packed)
	file, err := out.Create(name)
	if err == nil {
		_, err = file.Write(content)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes())
}

func runBody(t *testing.T, line, context string) string {
	t.Helper()
	content, err := json.Marshal(map[string]string{"command": line, "context": context, "clusterToken": ""})
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestACommandIsAcceptedAndItsResultIsWaitedFor(t *testing.T) {
	r := made(t)
	r.ready()
	a := r.call("POST", clusterPath+"/runCommand", runBody(t, "kubectl get ns", attached(t, "a.yaml", []byte("kind: List"))))
	location := a.header.Get("Location")
	// az reads the id out of the URL in this way.
	id := regexp.MustCompile(`commandResults\/(\w*)\?`).FindStringSubmatch(location)
	if a.status != http.StatusAccepted || id == nil || a.header.Get("Retry-After") == "" {
		t.Fatalf("answered %d %q %s", a.status, location, a.raw)
	}
	stored := r.commands()
	if len(stored) != 1 || stored[0].Name != id[1] || stored[0].Spec.Caller != ownerObject || stored[0].Spec.Payload.Command != "kubectl get ns" || len(stored[0].Spec.Payload.Files) == 0 {
		t.Fatalf("stored %+v", stored)
	}
	path := strings.TrimPrefix(location, r.server.URL)
	if a := r.call("GET", path, ""); a.status != http.StatusAccepted || a.header.Get("Location") != location {
		t.Errorf("while it runs: %d %v", a.status, a.header)
	}
	packed, err := command.PackOutput([]byte("default\n"))
	if err != nil {
		t.Fatal(err)
	}
	code, at := int32(3), metav1.Now()
	stored[0].Status = containerservicev1alpha1.ClusterCommandStatus{
		Phase: containerservicev1alpha1.CommandEnded, ExitCode: &code, Output: packed, StartedAt: &at, FinishedAt: &at,
	}
	if err := r.store.Status().Update(t.Context(), &stored[0]); err != nil {
		t.Fatal(err)
	}
	done := r.call("GET", path, "")
	properties, _ := done.body["properties"].(map[string]any)
	if done.status != http.StatusOK || properties["logs"] != "default\n" || properties["exitCode"] != 3.0 || properties["provisioningState"] != "Succeeded" || properties["startedAt"] == nil {
		t.Errorf("the result is %d %s", done.status, done.raw)
	}
	check(t, r.call("GET", strings.Replace(path, "/demo/", "/other/", 1), ""), want{404, "ResourceNotFound", "", ""})
	for _, other := range []string{"x", strings.Repeat("0", 32), strings.Repeat("g", 32)} {
		check(t, r.call("GET", clusterPath+"/commandResults/"+other, ""), want{404, "CommandNotFound", "", "has no command"})
	}
	r.token = r.tokenOf(readerID)
	check(t, r.call("POST", clusterPath+"/runCommand", runBody(t, "id", "")), want{403, "AuthorizationFailed", "", "runcommand/action"})
}

func TestCommandsThatCannotRunAreRefused(t *testing.T) {
	r := made(t)
	check(t, r.call("POST", clusterPath+"/runCommand", runBody(t, "id", "")), want{409, "OperationNotAllowed", "", "not there yet"})
	r.ready()
	bomb := attached(t, "bomb", bytes.Repeat([]byte("0"), command.MaxUnpacked+1))
	for name, c := range map[string]struct {
		body string
		want want
	}{
		"no body":              {"", want{400, "InvalidRequestContent", "", ""}},
		"no command":           {`{}`, want{400, "InvalidParameter", "command", "is empty"}},
		"an empty one":         {runBody(t, " ", ""), want{400, "InvalidParameter", "command", "is empty"}},
		"one with a NUL":       {`{"command":"a\u0000b"}`, want{400, "InvalidRequestContent", "", "NUL"}},
		"one that is too long": {runBody(t, strings.Repeat("x", command.MaxLine+1), ""), want{400, "InvalidParameter", "command", "at most"}},
		"files not in base64":  {runBody(t, "id", "!"), want{400, "InvalidParameter", "context", "base64"}},
		"files that are none":  {runBody(t, "id", "aGVsbG8="), want{400, "InvalidParameter", "context", "no zip file"}},
		"a bomb":               {runBody(t, "id", bomb), want{400, "InvalidParameter", "context", "when unpacked"}},
		"a path out":           {runBody(t, "id", attached(t, "../x", nil)), want{400, "InvalidParameter", "context", "relative path"}},
		"a directory's token":  {`{"command":"id","clusterToken":"x"}`, want{400, "PropertyNotSupported", "clusterToken", "directory"}},
		"an unknown property":  {`{"command":"id","other":1}`, want{400, "", "other", ""}},
	} {
		t.Run(name, func(t *testing.T) { check(t, r.call("POST", clusterPath+"/runCommand", c.body), c.want) })
	}
	if stored := r.commands(); len(stored) > 0 {
		t.Errorf("stored %+v", stored)
	}
	for range command.MaxRunning {
		if a := r.call("POST", clusterPath+"/runCommand", runBody(t, "id", "")); a.status != http.StatusAccepted {
			t.Fatalf("answered %d %s", a.status, a.raw)
		}
	}
	check(t, r.call("POST", clusterPath+"/runCommand", runBody(t, "id", "")), want{429, "TooManyCommands", "", "Repeat the request"})
	cluster := r.cluster()
	cluster.Spec.PowerState = meta.PowerStopped
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	check(t, r.call("POST", clusterPath+"/runCommand", runBody(t, "id", "")), want{409, "OperationNotAllowed", "", "stopped"})
}

func TestCommandsCanBeDisabled(t *testing.T) {
	r := made(t)
	r.ready()
	set := func(value string) {
		t.Helper()
		if a := r.call("PUT", clusterPath, `{"location":"local","properties":{"apiServerAccessProfile":{"disableRunCommand":`+value+`}}}`); a.status != http.StatusOK {
			t.Fatalf("answered %d %s", a.status, a.raw)
		}
		r.finish()
	}
	set("true")
	if shown := r.call("GET", clusterPath, ""); !strings.Contains(shown.raw, `"disableRunCommand":true`) {
		t.Errorf("the cluster is %s", shown.raw)
	}
	check(t, r.call("POST", clusterPath+"/runCommand", runBody(t, "id", "")), want{400, "RunCommandDisabled", "", "disableRunCommand to false"})
	if a := r.call("PUT", clusterPath, `{"location":"local"}`); a.status != http.StatusOK {
		t.Fatal(a.raw)
	}
	r.finish()
	check(t, r.call("POST", clusterPath+"/runCommand", runBody(t, "id", "")), want{400, "RunCommandDisabled", "", ""})
	set("false")
	if a := r.call("POST", clusterPath+"/runCommand", runBody(t, "id", "")); a.status != http.StatusAccepted {
		t.Errorf("answered %d %s", a.status, a.raw)
	}
}
