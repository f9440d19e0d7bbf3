package backup

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// decoderMemory bounds what decompression may take: the writer's windows are far smaller.
const decoderMemory = 64 << 20

// ReadHeader reads what a backup says it is of. Nothing has vouched for that
// until the backup was read with its key.
func ReadHeader(r io.Reader) (Header, error) {
	header, _, err := readHeader(r)
	return header, err
}

func readHeader(r io.Reader) (Header, []byte, error) {
	start := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(r, start); err != nil {
		return Header{}, nil, fmt.Errorf("%w: it ends in its first line", ErrDamaged)
	}
	if got := string(start[:len(magic)]); got != magic {
		if strings.HasPrefix(got, "berth-backup/") {
			return Header{}, nil, fmt.Errorf("%w: %q, known is %q", ErrUnsupported, strings.TrimSpace(got), strings.TrimSpace(magic))
		}
		return Header{}, nil, fmt.Errorf("%w: it does not begin as a backup does", ErrDamaged)
	}
	length := binary.BigEndian.Uint32(start[len(magic):])
	if length > maxHeader {
		return Header{}, nil, fmt.Errorf("%w: its header would have %d bytes", ErrDamaged, length)
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(r, content); err != nil {
		return Header{}, nil, fmt.Errorf("%w: it ends in its header", ErrDamaged)
	}
	var header Header
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&header); err != nil {
		return Header{}, nil, fmt.Errorf("%w: its header is not what one is", ErrDamaged)
	}
	if header.KeyID == "" || len(header.Prefix) < 2 || header.Prefix[0] != '/' || header.Keys < 0 || header.Revision < 0 {
		return Header{}, nil, fmt.Errorf("%w: its header lacks what one has", ErrDamaged)
	}
	return header, append(start, content...), nil
}

// Reader reads one backup as a stream. What it returns is authentic, but only
// an io.EOF of Next says that nothing is missing: read a backup to its end
// before acting on it.
type Reader struct {
	// Header is what the backup is of.
	Header Header
	// Credentials are the cluster's, by file name.
	Credentials map[string][]byte

	compressed *zstd.Decoder
	in         *bufio.Reader
	digest     *Digest
	next       record
	last       string
	done       bool
}

// NewReader begins to read a backup: the header and the credentials.
func NewReader(r io.Reader, ring *Keyring) (*Reader, error) {
	header, before, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	wrapping, err := ring.wrapping(header.KeyID, before)
	if err != nil {
		return nil, err
	}
	payload, err := age.Decrypt(bufio.NewReaderSize(r, 64<<10), wrapping)
	if err != nil {
		return nil, damaged(err)
	}
	backup := &Reader{Header: header, Credentials: map[string][]byte{}, digest: NewDigest()}
	backup.compressed, err = zstd.NewReader(payload, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(decoderMemory))
	if err != nil {
		return nil, damaged(err)
	}
	backup.in = bufio.NewReaderSize(backup.compressed, 64<<10)
	for {
		if backup.next, err = readRecord(backup.in); err != nil {
			backup.Close()
			return nil, damaged(err)
		}
		if backup.next.kind != recordCredential {
			return backup, nil
		}
		backup.Credentials[string(backup.next.first)] = backup.next.second
	}
}

// Next is the next entry, io.EOF behind the last one of a whole backup.
func (r *Reader) Next() (Entry, error) {
	if r.done {
		return Entry{}, io.EOF
	}
	switch r.next.kind {
	case recordTrailer:
		return Entry{}, r.end()
	case recordEntry:
	default:
		return Entry{}, damaged(fmt.Errorf("a record of the kind %q", r.next.kind))
	}
	entry := Entry{Key: string(r.next.first), Value: r.next.second, TTL: r.next.number}
	if !strings.HasPrefix(entry.Key, "/") || entry.Key <= r.last {
		return Entry{}, damaged(errors.New("its keys are out of order"))
	}
	r.last = entry.Key
	r.digest.Add(entry)
	var err error
	if r.next, err = readRecord(r.in); err != nil {
		return Entry{}, damaged(err)
	}
	return entry, nil
}

// end compares what was read with what the trailer says.
func (r *Reader) end() error {
	var end trailer
	if err := json.Unmarshal(r.next.first, &end); err != nil {
		return damaged(err)
	}
	seen := r.digest.Summary()
	if (Summary{Keys: end.Keys, Bytes: end.Bytes, Digest: end.Digest}) != seen || seen.Keys != r.Header.Keys {
		return damaged(fmt.Errorf("it says that it holds %d keys, and holds %d", end.Keys, seen.Keys))
	}
	if _, err := r.in.ReadByte(); err != io.EOF { //nolint:errorlint // io.EOF is returned as it is
		return damaged(errors.New("it goes on behind its end"))
	}
	r.done = true
	return io.EOF
}

// Summary is what was read so far.
func (r *Reader) Summary() Summary { return r.digest.Summary() }

// Close frees what the reader holds; it does not close what it reads from.
func (r *Reader) Close() { r.compressed.Close() }

// Check reads a backup to its end.
func Check(r io.Reader, ring *Keyring) (Header, Summary, error) {
	backup, err := NewReader(r, ring)
	if err != nil {
		return Header{}, Summary{}, err
	}
	defer backup.Close()
	for {
		if _, err := backup.Next(); err == io.EOF { //nolint:errorlint // io.EOF is returned as it is
			return backup.Header, backup.Summary(), nil
		} else if err != nil {
			return Header{}, Summary{}, err
		}
	}
}

func damaged(err error) error { return fmt.Errorf("%w: %w", ErrDamaged, err) }
