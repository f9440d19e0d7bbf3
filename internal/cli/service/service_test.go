package service

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/preflight"
)

// run runs one of the commands and returns what it printed.
func run(t *testing.T, stdin string, arguments ...string) (string, error) {
	t.Helper()
	for _, command := range Commands() {
		if command.Name() != arguments[0] {
			continue
		}
		var printed bytes.Buffer
		command.SetArgs(arguments[1:])
		command.SetIn(strings.NewReader(stdin))
		command.SetOut(&printed)
		command.SetErr(&printed)
		command.SilenceErrors, command.SilenceUsage = true, true
		err := command.ExecuteContext(t.Context())
		return printed.String(), err
	}
	t.Fatalf("no command %s", arguments[0])
	return "", nil
}

func newHome(t *testing.T) home.Home {
	t.Helper()
	h, err := home.Create(filepath.Join(t.TempDir(), "home"), func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheStatusOfAStoppedServiceIsShownAndIsAnError(t *testing.T) {
	h := newHome(t)
	t.Setenv("BERTH_CACHE", t.TempDir())
	printed, err := run(t, "", "status", "--home", h.Dir, "-o", "json")
	if err == nil || !strings.Contains(err.Error(), "berth up") {
		t.Errorf("the error is %v", err)
	}
	var status app.Status
	if err := json.Unmarshal([]byte(printed), &status); err != nil {
		t.Fatalf("%v in %s", err, printed)
	}
	if status.Running || status.PID != 0 || status.Instance != h.Instance || len(status.Releases) == 0 {
		t.Errorf("got %+v", status)
	}
	if _, err := run(t, "", "status", "--home", t.TempDir()); err == nil || !strings.Contains(err.Error(), "berth up") {
		t.Errorf("without an install: %v", err)
	}
}

func TestTheStatusForPeopleSaysWhatIsGivenOutAndWhatMendsTheHost(t *testing.T) {
	started := time.Now()
	var text bytes.Buffer
	err := printStatus(&text, output.Table, app.Status{
		Running: true, PID: 42, Phase: home.PhaseReady, Started: &started, Instance: "abcd", Home: "/home",
		Endpoints: app.Endpoints{ARM: "https://127.0.0.1:7443"}, Management: app.ManagementStatus{Endpoint: "https://127.0.0.1:1", Ready: true},
		Clusters: 2, Nodes: 3, Host: &app.HostStatus{CPUs: 2, CPUOvercommit: 8, CPUsGivenOut: 6, MemoryMiB: 1000, MemoryOvercommit: 2, MemoryMiBGivenOut: 500},
		Releases:  []app.ReleaseStatus{{Version: "1.35.4", Default: true}},
		Preflight: []preflight.Finding{{Name: "inotify", Level: preflight.LevelWarning, Message: "few", Mend: "sysctl -w x=1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pid 42", "2 with 3 nodes", "6 of 16 given out", "500 of 2000", "1.35.4 (default), built on first need", "sysctl -w x=1"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &text)
		}
	}
}

func TestRestartAndCloudShowSayThatThereIsNoInstall(t *testing.T) {
	if os.Geteuid() != 0 {
		if _, err := run(t, "", "cloud", "show"); err == nil || !strings.Contains(err.Error(), "root") {
			t.Errorf("without root: %v", err)
		}
		return
	}
	for _, arguments := range [][]string{{"restart"}, {"cloud", "show"}, {"admin", "kubeconfig"}} {
		if _, err := run(t, "", append(arguments, "--home", filepath.Join(t.TempDir(), "none"))...); err == nil || !strings.Contains(err.Error(), "no Berth install") {
			t.Errorf("%v: %v", arguments, err)
		}
	}
}

func TestLoginStoresOnlyWhatTheServiceAccepted(t *testing.T) {
	const tenant, client, subscription = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222", "33333333-3333-3333-3333-333333333333"
	server := httptest.NewTLSServer(fakeCloud(tenant, client, subscription))
	defer server.Close()
	caFile := filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	stored := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "berth", "login.json")
	line := []string{"login", "--service-principal", "--endpoint", server.URL + "/", "--ca-file", caFile, "-u", client, "--tenant", tenant}
	if _, err := run(t, "wrong\n", line...); err == nil {
		t.Fatal("a wrong password was accepted")
	}
	if _, err := os.Stat(stored); err == nil {
		t.Fatal("a wrong password was stored")
	}
	if _, err := run(t, "", line...); err == nil || !strings.Contains(err.Error(), "no password") {
		t.Errorf("without a password: %v", err)
	}
	printed, err := run(t, "right\n", line...)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed, "right") {
		t.Errorf("the password is printed: %s", printed)
	}
	got, err := cloud.Load(stored)
	if err != nil {
		t.Fatal(err)
	}
	want := cloud.Cloud{
		ARMEndpoint: server.URL, ActiveDirectoryEndpoint: server.URL, TenantID: tenant, SubscriptionID: subscription,
		ClientID: client, ClientSecret: "right", CAFile: caFile, Location: "here",
	}
	if got != want {
		t.Errorf("stored is %+v, want %+v", got, want)
	}
	if info, err := os.Stat(stored); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the login's file: %v, %v", info.Mode(), err)
	}
}

// fakeCloud is a token service with one principal, whose password is "right",
// and an ARM with one subscription.
func fakeCloud(tenant, client, subscription string) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	mux.HandleFunc("GET /"+tenant+"/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host + "/" + tenant
		answer(w, http.StatusOK, map[string]string{
			"issuer": base + "/v2.0", "token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize",
		})
	})
	mux.HandleFunc("POST /"+tenant+"/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_id") != client || r.FormValue("client_secret") != "right" {
			answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
			return
		}
		answer(w, http.StatusOK, map[string]any{"access_token": "token", "token_type": "Bearer", "expires_in": 3600})
	})
	list := func(field string, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer token" {
				answer(w, http.StatusUnauthorized, nil)
				return
			}
			answer(w, http.StatusOK, map[string]any{"value": []map[string]string{{field: value}}})
		}
	}
	mux.HandleFunc("GET /subscriptions", list("subscriptionId", subscription))
	mux.HandleFunc("GET /subscriptions/"+subscription+"/locations", list("name", "here"))
	return mux
}
