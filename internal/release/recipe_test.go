package release

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestANodeImageIsMadeFromTheHostsOwnDistributionAlone(t *testing.T) {
	targets := `http://mirror.example/debian/ bookworm main
http://mirror.example/debian/ bookworm main
http://mirror.example/debian/ bookworm non-free
http://mirror.example/debian/ bookworm-updates main
http://mirror.example/security/ bookworm-security main
https://vendor.example/apt/ cloud-bookworm main
https://vendor.example/node/ nodistro main
http://mirror.example/debian/ trixie main
malformed
`
	want := []string{
		"deb http://mirror.example/debian/ bookworm main",
		"deb http://mirror.example/debian/ bookworm-updates main",
		"deb http://mirror.example/security/ bookworm-security main",
	}
	if got := selectArchives(targets, "bookworm"); !slices.Equal(got, want) {
		t.Errorf("selected %q", got)
	}
}

func TestOnlyADebianHostHasACodename(t *testing.T) {
	for content, want := range map[string]string{
		"ID=debian\nVERSION_CODENAME=bookworm\n":     "bookworm",
		"VERSION_CODENAME=\"trixie\"\nID=\"debian\"": "trixie",
		"ID=fedora\nVERSION_CODENAME=\n":             "",
	} {
		path := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := hostCodename(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q gave %q, %v", content, got, err)
		}
	}
}

func TestProgramsGetTheirOwnNamesAndAMultiCallBinaryAll(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"server": "one", "agent": "two", "main": "many"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	programs := []program{
		{"example.org/cmd/server", []string{"agent"}},
		{"example.org/cmd/agent/v2", []string{"proxy-agent"}},
		{mainFile, []string{"kubelet", "kubectl"}},
	}
	if err := nameBinaries(dir, programs); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"agent": "one", "proxy-agent": "two", "kubelet": "many", "kubectl": "many"} {
		if content, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(content) != want {
			t.Errorf("%s holds %q, %v", name, content, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 4 {
		t.Errorf("the directory holds %v", left)
	}
}

func TestABareEnvironmentIsCompletedAndTheUsersChoicesStay(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("PATH", "/some/where")
	t.Setenv("GOFLAGS", "-mod=mod -race")
	t.Setenv("GOPROXY", "off")
	values := map[string][]string{}
	for _, entry := range (toolchain{program: "/usr/local/go/bin/go"}).environment(true) {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = append(values[name], value)
	}
	for name, want := range map[string]string{
		"HOME": homeDir(), "CGO_ENABLED": "1", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOPROXY": "off",
		"PATH": "/usr/local/go/bin:/some/where:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	} {
		if want == "" || !slices.Equal(values[name], []string{want}) {
			t.Errorf("%s is %q, want %q once", name, values[name], want)
		}
	}
}

func TestMissingPackagesAreNamedInOneLine(t *testing.T) {
	store := newStore(t)
	report := newReporter(nil, 1)
	err := store.installPackages(t.Context(), []string{"gcc", "mmdebstrap"}, report)
	if err == nil || !strings.Contains(err.Error(), "apt-get install --no-install-recommends gcc mmdebstrap") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is %v", err)
	}
}

func TestAPackageThatIsNowhereIsMissing(t *testing.T) {
	if debianPackage("no-such-program").present() {
		t.Error("found a program that does not exist")
	}
	if !debianPackage("sh").present() {
		t.Error("did not find the shell")
	}
}
