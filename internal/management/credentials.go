package management

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/pki"
)

// The files beside those of pki.NewCluster.
const (
	encryptionConfigFile = "encryption.yaml"
	// completeFile is written last: without it the keys are made anew, which
	// loses nothing, because nothing was started with them.
	completeFile = "complete"
	// leafValidity is long because leaves are renewed when the service starts.
	leafValidity = 10 * 365 * 24 * time.Hour
)

// names are those that the management API goes by.
func names() pki.ClusterNames {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return pki.ClusterNames{FQDN: "management.berth.internal", Address: loopback, ServiceAddress: loopback, Validity: leafValidity}
}

// serverFiles are the only files that the processes themselves read; all
// others stay root's.
func serverFiles() []string {
	return []string{
		pki.ClusterCACert, pki.UserCACert, pki.EtcdCACert, pki.EtcdServerCert, pki.EtcdServerKey, pki.EtcdClientCert, pki.EtcdClientKey,
		pki.APIServerCert, pki.APIServerKey, pki.ServiceAccountKey, pki.ServiceAccountPub, encryptionConfigFile,
	}
}

func (s *Server) hasCredentials() bool {
	_, err := os.Stat(s.credential(completeFile))
	return err == nil
}

// ensureCredentials makes the API's keys and certificates the first time.
func (s *Server) ensureCredentials(st state) error {
	if s.hasCredentials() {
		return s.renewCredentials(st)
	}
	if err := os.MkdirAll(s.pkiDir(), 0o711); err != nil {
		return fmt.Errorf("making the management API's credentials: %w", err)
	}
	files, err := pki.NewCluster(names(), time.Now())
	if err != nil {
		return fmt.Errorf("making the management API's credentials: %w", err)
	}
	files[encryptionConfigFile] = encryptionConfig(files[pki.EncryptionKey])
	for name, content := range files {
		if err := home.WriteFile(s.credential(name), content, 0o600); err != nil {
			return fmt.Errorf("storing the management API's credentials: %w", err)
		}
	}
	if st.UserID != 0 {
		for _, name := range serverFiles() {
			if err := os.Chown(s.credential(name), st.UserID, st.UserID); err != nil {
				return fmt.Errorf("storing the management API's credentials: %w", err)
			}
		}
	}
	return home.WriteFile(s.credential(completeFile), nil, 0o600)
}

// renewCredentials issues the leaves anew that are about to expire, or have
// expired while nothing ran. What runs reads them by itself: the API server
// watches its files, etcd reads its own for each connection.
func (s *Server) renewCredentials(st state) error {
	files := map[string][]byte{}
	entries, err := os.ReadDir(s.pkiDir())
	if err != nil {
		return fmt.Errorf("reading the management API's credentials: %w", err)
	}
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(s.credential(entry.Name())); err != nil {
			return fmt.Errorf("reading the management API's credentials: %w", err)
		}
	}
	next, _, err := pki.Renewed(files, names(), time.Now())
	if err != nil {
		return fmt.Errorf("renewing the management API's credentials: %w", err)
	}
	for name, content := range next {
		if bytes.Equal(content, files[name]) {
			continue
		}
		if err := home.WriteFile(s.credential(name), content, 0o600); err != nil {
			return fmt.Errorf("renewing the management API's credentials: %w", err)
		}
		if st.UserID != 0 && slices.Contains(serverFiles(), name) {
			if err := os.Chown(s.credential(name), st.UserID, st.UserID); err != nil {
				return fmt.Errorf("renewing the management API's credentials: %w", err)
			}
		}
	}
	return nil
}

// encryptionConfig encrypts Secrets at rest, and whatever was written before
// it is still read.
func encryptionConfig(key []byte) []byte {
	return fmt.Appendf(nil, `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox:
      keys:
      - name: key1
        secret: %s
  - identity: {}
`, base64.StdEncoding.EncodeToString(key))
}

// ensureDirs makes the directories that the processes write to.
func (s *Server) ensureDirs(st state) error {
	for _, dir := range []string{s.runDir(), s.dataDir(), filepath.Join(s.home.ManagementDir(), "work")} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making the management API's directories: %w", err)
		}
		if st.UserID == 0 {
			continue
		}
		if err := os.Chown(dir, st.UserID, st.UserID); err != nil {
			return fmt.Errorf("making the management API's directories: %w", err)
		}
	}
	return nil
}
