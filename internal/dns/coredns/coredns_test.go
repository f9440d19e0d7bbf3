package coredns

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/home"
)

func desired(records ...dns.Record) dns.Desired {
	return dns.Desired{
		Zone:    dns.Zone{Name: "berth.internal", Server: netip.MustParseAddr("198.18.0.3"), Records: records},
		Program: "/bin/coredns",
	}
}

func server(t *testing.T) *Server {
	t.Helper()
	return New(Options{Home: home.Home{Dir: t.TempDir(), Instance: "abcd"}})
}

func TestTheFilesAreWrittenWhenTheyChangeAndOnlyThen(t *testing.T) {
	s := server(t)
	if err := s.ensureFiles(desired()); err != nil {
		t.Fatal(err)
	}
	zone, corefile := filepath.Join(s.dir(), dns.ZoneFileName), filepath.Join(s.dir(), dns.CorefileName)
	long := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, path := range []string{zone, corefile} {
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	modified := func(path string) bool {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return !info.ModTime().Equal(long)
	}
	if err := s.ensureFiles(desired()); err != nil {
		t.Fatal(err)
	}
	if modified(zone) || modified(corefile) {
		t.Error("a file was written although nothing changed")
	}
	if err := s.ensureFiles(desired(dns.Record{Name: "a.berth.internal", Address: netip.MustParseAddr("198.18.0.16")})); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(zone)
	if err != nil || !strings.Contains(string(content), "a.berth.internal. IN A 198.18.0.16\n") {
		t.Errorf("the zone is %q, %v", content, err)
	}
	if modified(corefile) {
		t.Error("a new name changes the Corefile, for which the server is restarted")
	}
}

func TestTheServerCanReadItsFilesAndWriteNone(t *testing.T) {
	s := server(t)
	if err := s.ensureFiles(desired()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		s.dir(): 0o711, s.runDir(): 0o700, filepath.Join(s.dir(), dns.ZoneFileName): 0o644, filepath.Join(s.dir(), dns.CorefileName): 0o644,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestAProcessOfAnotherNetworkNamespaceIsToldApart(t *testing.T) {
	if !inNamespace(os.Getpid(), "/proc/self/ns/net") {
		t.Error("this process is not in its own namespace")
	}
	other := filepath.Join(t.TempDir(), "netns")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if inNamespace(os.Getpid(), other) {
		t.Error("this process is in every namespace")
	}
}

func TestAServerThatNeverRanIsStopped(t *testing.T) {
	if err := server(t).Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
