// Package backup owns what a backup of a cluster is: the file format, and the
// service keys that its files are wrapped with. It knows no etcd (package
// datastore below it does), no disk (package vault) and no management API.
//
// A backup is the key range of one cluster at one revision of an etcd, whether
// the etcd is the cluster's own or shared, with the cluster's credentials: its
// CAs, its service-account key and the key of its encryption at rest.
//
// Who wants a backup, an upgrade before it changes anything for one, creates a
// Backup object of the management API (containerservice/v1alpha1) with
// spec.origin Cluster and spec.clusterName, under a name that it chose and
// stored before, and waits for its condition Ready. Who wants the cluster to be
// as it was sets spec.restore of the ManagedCluster to a fresh id and that
// Backup's name, and waits until status.restore of its ControlPlane names the
// id with a completion time or a failure. Neither calls anything: a kill
// between any two lines heals.
//
// The file is
//
//	"berth-backup/1\n"
//	length of the header, four bytes, big endian
//	header, JSON: readable without any key
//	an age file: the file key in a stanza of our own (see Keyring), sealed
//	together with everything above, then the payload in authenticated chunks
//
// and the payload, compressed with zstd, is a list of records: the credentials,
// the keys in order, and a trailer that counts and digests them. A file that
// was cut, altered or put together from two does not pass.
package backup

import (
	"errors"
	"time"
)

// The errors of reading a backup, matched by errors.Is.
var (
	// ErrDamaged says that a file is truncated, altered, or no backup at all.
	ErrDamaged = errors.New("the backup is truncated or altered")
	// ErrUnknownKey says that the service key which wraps a backup is not here.
	ErrUnknownKey = errors.New("the key that wraps the backup is not held by this service")
	// ErrUnsupported says that a file is of a later format.
	ErrUnsupported = errors.New("the backup is of a format that this service does not know")
)

// Header says what a backup is of. It can be read without a key and is
// authenticated with one.
type Header struct {
	// TenantID is the directory that the cluster belongs to.
	TenantID string `json:"tenantID"`
	// ClusterID is the ARM id of the cluster, Incarnation its random word.
	ClusterID   string `json:"clusterID"`
	Incarnation string `json:"incarnation"`
	// Prefix is what every key of the cluster began with in its etcd, without a
	// slash at the end.
	Prefix string `json:"prefix"`
	// KubernetesVersion is the version whose API was served, in full.
	KubernetesVersion string `json:"kubernetesVersion"`
	// Revision is the etcd revision that the backup shows, Keys how many keys there were.
	Revision int64 `json:"revision"`
	Keys     int64 `json:"keys"`
	// Time is when the backup was begun.
	Time time.Time `json:"time"`
	// KeyID names the service key that wraps the file.
	KeyID string `json:"keyID"`
	// Cluster is the desired state of the cluster at the time, as JSON of the
	// management API, without what ran: a cluster can be made from it.
	Cluster []byte `json:"cluster"`
}

// Entry is one key of the range.
type Entry struct {
	// Key is without the prefix and begins with a slash.
	Key string
	// Value is as it was stored: encrypted at rest where it was.
	Value []byte
	// TTL is the rest of the life of the key's lease, rounded up to seconds; 0: it has none.
	TTL int64
}

// Summary is what a whole backup was seen to hold.
type Summary struct {
	// Keys and Bytes count the entries and the bytes of their keys and values.
	Keys, Bytes int64
	// Digest is over the entries' keys and values in order.
	Digest string
}
