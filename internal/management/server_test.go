package management

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth.dev/berth/api/crds"
	"berth.dev/berth/internal/home"
)

func unstarted(t *testing.T) *Server {
	t.Helper()
	h, err := home.Create(filepath.Join(t.TempDir(), "home"), func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return New(h, "/supervisor", map[string]string{"etcd": "/bin/etcd", "kube-apiserver": "/bin/kube"})
}

func TestPortsAreStoredBeforeUseAndReplacedOnlyWhereTaken(t *testing.T) {
	s := unstarted(t)
	st, err := s.loadState()
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.choosePorts(st)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.loadState()
	if err != nil || stored != first {
		t.Fatalf("stored is %+v, chosen was %+v, %v", stored, first, err)
	}
	other, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", first.EtcdPeerPort))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	second, err := s.choosePorts(first)
	if err != nil {
		t.Fatal(err)
	}
	if second.APIServerPort != first.APIServerPort || second.EtcdClientPort != first.EtcdClientPort || second.EtcdPeerPort == first.EtcdPeerPort {
		t.Errorf("was %+v, is %+v", first, second)
	}
}

func TestCredentialsAreMadeWholeOrAgainAndStayPrivate(t *testing.T) {
	s := unstarted(t)
	if _, err := s.Config(); !errors.Is(err, ErrNotStarted) {
		t.Errorf("before the first start: %v", err)
	}
	st, err := s.loadState()
	if err != nil {
		t.Fatal(err)
	}
	st.UserID = 0 // a test need not be root
	if err := s.ensureCredentials(st); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		content, err := os.ReadFile(s.credential("ca.key"))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	first := read()
	if err := s.ensureCredentials(st); err != nil || read() != first {
		t.Errorf("complete credentials were made again: %v", err)
	}
	entries, err := os.ReadDir(s.pkiDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	if err := os.Remove(s.credential(completeFile)); err != nil { // as if killed while writing
		t.Fatal(err)
	}
	if err := s.ensureCredentials(st); err != nil || read() == first {
		t.Errorf("incomplete credentials were kept: %v", err)
	}
}

func TestTheFlagsShutOutStrangersAndCarryNoSecret(t *testing.T) {
	s := unstarted(t)
	components := s.components(state{UserID: 1, APIServerPort: 2, EtcdClientPort: 3, EtcdPeerPort: 4})
	if len(components) != 2 || components[0].Name != "etcd" || components[1].Gate == nil {
		t.Fatalf("components are %+v", components)
	}
	for _, want := range []string{
		"--anonymous-auth=false", "--authorization-mode=RBAC", "--bind-address=127.0.0.1", "--profiling=false",
		"--encryption-provider-config=" + s.credential(encryptionConfigFile),
	} {
		if !slices.Contains(components[1].Command, want) {
			t.Errorf("kube-apiserver lacks %s", want)
		}
	}
	for _, flag := range components[0].Command {
		if strings.Contains(flag, "-urls=") && !strings.Contains(flag, "=https://127.0.0.1:") {
			t.Errorf("etcd listens without TLS or beyond loopback: %s", flag)
		}
	}
}

func TestEveryDefinitionParsesAndCarriesItsDigest(t *testing.T) {
	definitions, err := parseDefinitions(crds.Files)
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]bool{}
	for _, definition := range definitions {
		digests[definition.Annotations[digestAnnotation]] = true
	}
	if len(digests) != len(definitions) || digests[""] {
		t.Errorf("%d definitions have %d digests", len(definitions), len(digests))
	}
}
