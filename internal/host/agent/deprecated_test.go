package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
)

// auditLine is an event as an API server writes it.
func auditLine(resource, removed string, at time.Time) string {
	annotations := ""
	if removed != "" {
		annotations = `,"annotations":{"k8s.io/deprecated":"true","k8s.io/removed-release":"` + removed + `"}`
	}
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","verb":"list","user":{"username":"dev"},"userAgent":"helm/4",`+
		`"objectRef":{"resource":%q,"apiGroup":"old.example","apiVersion":"v1beta1"},"requestReceivedTimestamp":%q%s}`+"\n",
		resource, at.UTC().Format("2006-01-02T15:04:05.000000Z"), annotations)
}

func TestDeprecatedAPIsAreReadFromTheAuditLogsAndForgottenAfterTwelveHours(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	if err := os.Mkdir(filepath.Join(dir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		file, err := os.OpenFile(filepath.Join(dir, "log", name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write("audit-rotated.log", auditLine("things", "1.36", now.Add(-11*time.Hour))+auditLine("forgotten", "1.36", now.Add(-13*time.Hour)))
	write("audit.log", auditLine("pods", "", now)+"not json with k8s.io/removed-release\n")
	d, status := &deprecations{}, &containerservice.ControlPlaneStatus{}
	update := func(want ...string) {
		t.Helper()
		if err := d.Update(dir, status, now); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, api := range status.DeprecatedAPIs {
			got = append(got, api.Resource)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("found %v, want %v", got, want)
		}
	}
	update("old.example/v1beta1/things")
	line := auditLine("others", "1.37", now)
	write("audit.log", line[:40])
	update("old.example/v1beta1/things")
	write("audit.log", line[40:])
	update("old.example/v1beta1/others", "old.example/v1beta1/things")
	if api := status.DeprecatedAPIs[1]; api.RemovedRelease != "1.36" || api.User != "dev" || api.UserAgent != "helm/4" {
		t.Errorf("it says %+v", api)
	}
	now = now.Add(90 * time.Minute)
	update("old.example/v1beta1/others")
}
