package backup

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// magic is the first line of every backup.
const magic = "berth-backup/1\n"

// maxHeader bounds the header in bytes.
const maxHeader = 1 << 20

// Writer writes one backup as a stream.
type Writer struct {
	sealed     io.WriteCloser
	compressed *zstd.Encoder
	out        *bufio.Writer
	digest     *Digest
	want       int64
	last       string
}

// NewWriter begins a backup: it writes the header and the credentials. The
// header gets the id of the current key.
func NewWriter(w io.Writer, ring *Keyring, header Header, credentials map[string][]byte) (*Writer, error) {
	header.KeyID = ring.Current()
	before, err := encodeHeader(header)
	if err != nil {
		return nil, fmt.Errorf("beginning a backup: %w", err)
	}
	wrapping, err := ring.wrapping(header.KeyID, before)
	if err != nil {
		return nil, fmt.Errorf("beginning a backup: %w", err)
	}
	if _, err := w.Write(before); err != nil {
		return nil, fmt.Errorf("beginning a backup: %w", err)
	}
	backup := &Writer{digest: NewDigest(), want: header.Keys}
	if backup.sealed, err = age.Encrypt(w, wrapping); err != nil {
		return nil, fmt.Errorf("beginning a backup: %w", err)
	}
	if backup.compressed, err = zstd.NewWriter(backup.sealed, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
		return nil, fmt.Errorf("beginning a backup: %w", err)
	}
	backup.out = bufio.NewWriterSize(backup.compressed, 64<<10)
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		if err := writeRecord(backup.out, recordCredential, 0, []byte(name), credentials[name]); err != nil {
			return nil, fmt.Errorf("writing the credentials: %w", err)
		}
	}
	return backup, nil
}

func encodeHeader(header Header) ([]byte, error) {
	content, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	if len(content) > maxHeader {
		return nil, fmt.Errorf("the header has %d bytes, more than %d", len(content), maxHeader)
	}
	before := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(content)))
	return append(before, content...), nil
}

// Add writes the next entry. Entries come in the order of their keys.
func (w *Writer) Add(entry Entry) error {
	if entry.Key <= w.last {
		return fmt.Errorf("writing a backup: the key %q does not follow %q", entry.Key, w.last)
	}
	w.last = entry.Key
	w.digest.Add(entry)
	if err := writeRecord(w.out, recordEntry, entry.TTL, []byte(entry.Key), entry.Value); err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	return nil
}

// Close writes the end. A backup without it does not pass.
func (w *Writer) Close() (Summary, error) {
	summary := w.digest.Summary()
	if summary.Keys != w.want {
		return summary, fmt.Errorf("writing a backup: %d keys came, %d were announced", summary.Keys, w.want)
	}
	end, err := trailer{Keys: summary.Keys, Bytes: summary.Bytes, Digest: summary.Digest}.encode()
	if err != nil {
		return summary, fmt.Errorf("writing a backup: %w", err)
	}
	for _, step := range []func() error{
		func() error { return writeRecord(w.out, recordTrailer, 0, end) },
		w.out.Flush, w.compressed.Close, w.sealed.Close,
	} {
		if err := step(); err != nil {
			return summary, fmt.Errorf("writing a backup: %w", err)
		}
	}
	return summary, nil
}
