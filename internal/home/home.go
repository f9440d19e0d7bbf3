// Package home owns the layout of Berth's home directory and the identity of
// the install that lives in it. Every path in the home is made here.
//
//	<home>/instance          the instance's four-letter id, written once
//	<home>/version           the layout's version
//	<home>/lock              flock of the running daemon
//	<home>/management/       the management API: its supervisor, etcd data, PKI
//	<home>/dns/              the DNS server of the install zone: its files and its supervisor
//	<home>/identity/         the service's own CA and certificate, first credentials (0600)
//	<home>/control-planes/<incarnation>/
//	<home>/machines/<incarnation>/
//	<home>/disks/<incarnation>/
//	<home>/backups/          backups of clusters, one file each (package vault)
//	<home>/log/
//	<home>/history.db        operation history and activity (bbolt)
//	<home>/options.json      the options that the daemon was last started with
//	<home>/daemon.json       where the daemon stands: pid, phase, endpoints; no secrets
//	<home>/bin/              the programs that outlive a daemon, by digest
package home

import "path/filepath"

// Home is an opened home directory.
type Home struct {
	// Dir is the absolute path.
	Dir string
	// Instance is the install's id, four letters or digits.
	Instance string
}

// DefaultDir is where the home lies unless BERTH_HOME says otherwise.
const DefaultDir = "/var/lib/berth"

// ManagementDir is the directory of the management API.
func (h Home) ManagementDir() string { return filepath.Join(h.Dir, "management") }

// ManagementData is the data directory of the management API's etcd, which
// etcd makes itself.
func (h Home) ManagementData() string { return filepath.Join(h.ManagementDir(), "etcd", "data") }

// IdentityDir is the directory of the service's CA, certificate and first credentials.
func (h Home) IdentityDir() string { return filepath.Join(h.Dir, "identity") }

// DNSDir is the directory of the install zone's DNS server.
func (h Home) DNSDir() string { return filepath.Join(h.Dir, "dns") }

// BalancersDir holds what the service and the prober of backends tell each other.
func (h Home) BalancersDir() string { return filepath.Join(h.Dir, "balancers") }

// ControlPlanesDir holds a directory for each control plane.
func (h Home) ControlPlanesDir() string { return filepath.Join(h.Dir, "control-planes") }

// MachinesDir holds a directory for each machine.
func (h Home) MachinesDir() string { return filepath.Join(h.Dir, "machines") }

// DisksDir holds a directory for each disk of a volume.
func (h Home) DisksDir() string { return filepath.Join(h.Dir, "disks") }

// BackupsDir holds the backups of clusters. Others pass through and list nothing.
func (h Home) BackupsDir() string { return filepath.Join(h.Dir, "backups") }

// LogDir holds the daemon's own logs.
func (h Home) LogDir() string { return filepath.Join(h.Dir, "log") }

// HistoryFile is the database of ended operations.
func (h Home) HistoryFile() string { return filepath.Join(h.Dir, "history.db") }

// OptionsFile holds the options of the daemon.
func (h Home) OptionsFile() string { return filepath.Join(h.Dir, "options.json") }

// DaemonFile says where the daemon stands.
func (h Home) DaemonFile() string { return filepath.Join(h.Dir, "daemon.json") }

// LogFile is the log of a detached daemon.
func (h Home) LogFile() string { return filepath.Join(h.LogDir(), "berth.log") }

// CloudFile holds the first credentials, as a cloud.Cloud.
func (h Home) CloudFile() string { return filepath.Join(h.IdentityDir(), "cloud.json") }

// CAFile is the certificate of the service's own authority, readable by all.
func (h Home) CAFile() string { return filepath.Join(h.IdentityDir(), "ca.crt") }

// BinDir holds the programs that outlive a daemon.
func (h Home) BinDir() string { return filepath.Join(h.Dir, "bin") }

// Prefix starts the name of every cgroup and namespace of the install: "berth-<instance>".
func (h Home) Prefix() string { return "berth-" + h.Instance }
