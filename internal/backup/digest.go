package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// Digest sums up entries in their order: the same for a file and for the etcd
// that it was restored into.
type Digest struct {
	hash        hash.Hash
	keys, bytes int64
}

// NewDigest makes the digest of no entries.
func NewDigest() *Digest { return &Digest{hash: sha256.New()} }

// Add adds the next entry. Leases do not count: they shorten all the time.
func (d *Digest) Add(entry Entry) {
	var length [2 * binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(len(entry.Key)))
	n += binary.PutUvarint(length[n:], uint64(len(entry.Value)))
	d.hash.Write(length[:n])
	d.hash.Write([]byte(entry.Key))
	d.hash.Write(entry.Value)
	d.keys++
	d.bytes += int64(len(entry.Key) + len(entry.Value))
}

// Summary is what was added so far.
func (d *Digest) Summary() Summary {
	return Summary{Keys: d.keys, Bytes: d.bytes, Digest: hex.EncodeToString(d.hash.Sum(nil))}
}
