package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth.dev/berth/internal/cloud"
)

// fakeAz stands in for az: it notes its arguments and its standard input, and
// knows the clouds that were registered.
const fakeAz = `#!/bin/sh
echo "$*" >> "$AZURE_CONFIG_DIR/arguments"
case "$1 $2" in
"cloud list") cat "$AZURE_CONFIG_DIR/clouds" 2>/dev/null || true ;;
"cloud register") echo "$4" >> "$AZURE_CONFIG_DIR/clouds" ;;
"login --service-principal") cat > "$AZURE_CONFIG_DIR/password"; test -s "$REQUESTS_CA_BUNDLE" || { echo no bundle >&2; exit 1; } ;;
esac
`

// azHome is an install with a login, and an az on the path.
func azHome(t *testing.T) (dir, config string) {
	t.Helper()
	h := newHome(t)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, []byte("the service's certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := cloud.Cloud{ARMEndpoint: "https://127.0.0.1:1", ActiveDirectoryEndpoint: "https://127.0.0.1:1", TenantID: "tenant",
		SubscriptionID: "subscription", ClientID: "client", ClientSecret: "very secret", CAFile: ca, Location: "local"}
	if err := login.Save(h.CloudFile()); err != nil {
		t.Fatal(err)
	}
	programs := t.TempDir()
	if err := os.WriteFile(filepath.Join(programs, "az"), []byte(fakeAz), 0o700); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(t.TempDir(), "az config")
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	t.Setenv("AZURE_CONFIG_DIR", config)
	return h.Dir, config
}

func TestSetupAzRegistersOnceAndKeepsTheSecretOutOfArguments(t *testing.T) {
	dir, config := azHome(t)
	for range 2 {
		printed, err := run(t, "", "cloud", "setup-az", "--home", dir)
		if err != nil {
			t.Fatal(err)
		}
		if want := "export REQUESTS_CA_BUNDLE='" + config + "/berth-ca-bundle.pem'\n"; !strings.HasSuffix(printed, want) {
			t.Errorf("printed %q, want at its end %q", printed, want)
		}
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(config, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	arguments := read("arguments")
	if strings.Contains(arguments, "very secret") {
		t.Errorf("the secret is an argument:\n%s", arguments)
	}
	for _, want := range []string{"cloud register --name berth", "cloud update --name berth", `"activeDirectory":"https://127.0.0.1:1/adfs"`,
		"cloud set --name berth", "login --service-principal --username client --password @- --tenant tenant", "account set --subscription subscription"} {
		if !strings.Contains(arguments, want) {
			t.Errorf("%q is missing in\n%s", want, arguments)
		}
	}
	if got := read("password"); got != "very secret" {
		t.Errorf("az read the password %q", got)
	}
	if bundle := read("berth-ca-bundle.pem"); !strings.HasSuffix(bundle, "the service's certificate\n") {
		t.Errorf("the bundle ends with %q", bundle[max(0, len(bundle)-100):])
	}
}

func TestSetupAzSaysThatAzIsMissing(t *testing.T) {
	dir, _ := azHome(t)
	t.Setenv("PATH", t.TempDir())
	if _, err := run(t, "", "cloud", "setup-az", "--home", dir); err == nil || !strings.Contains(err.Error(), "apt-get install azure-cli") {
		t.Errorf("the error is %v", err)
	}
}

func TestSetupAzPassesOnWhatAzSays(t *testing.T) {
	dir, config := azHome(t)
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	failing := "#!/bin/sh\ntest \"$1\" != login || { echo 'ERROR: wrong secret' >&2; exit 1; }\n"
	program := filepath.Join(strings.SplitN(os.Getenv("PATH"), ":", 2)[0], "az")
	if err := os.WriteFile(program, []byte(failing), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "", "cloud", "setup-az", "--home", dir); err == nil || !strings.Contains(err.Error(), "ERROR: wrong secret") {
		t.Errorf("the error is %v", err)
	}
}
