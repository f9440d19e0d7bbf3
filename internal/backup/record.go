package backup

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// The kinds of records in the payload, in their order.
const (
	recordCredential = 'c'
	recordEntry      = 'k'
	recordTrailer    = 'e'
)

// maxField bounds one field of a record. etcd itself takes no request above 1.5 MiB.
const maxField = 16 << 20

// writeRecord writes a kind, the number and the fields of a record.
func writeRecord(w *bufio.Writer, kind byte, number int64, fields ...[]byte) error {
	var buffer [binary.MaxVarintLen64]byte
	if err := w.WriteByte(kind); err != nil {
		return err
	}
	if _, err := w.Write(binary.AppendUvarint(buffer[:0], uint64(number))); err != nil {
		return err
	}
	for _, field := range fields {
		if _, err := w.Write(binary.AppendUvarint(buffer[:0], uint64(len(field)))); err != nil {
			return err
		}
		if _, err := w.Write(field); err != nil {
			return err
		}
	}
	return nil
}

// record is one record as it was read.
type record struct {
	kind   byte
	number int64
	first  []byte
	second []byte
}

// readRecord reads the next record.
func readRecord(r *bufio.Reader) (record, error) {
	var read record
	var err error
	if read.kind, err = r.ReadByte(); err != nil {
		return read, noEOF(err)
	}
	number, err := binary.ReadUvarint(r)
	if err != nil {
		return read, noEOF(err)
	}
	read.number = int64(number)
	if read.first, err = readField(r); err != nil || read.kind == recordTrailer {
		return read, err
	}
	read.second, err = readField(r)
	return read, err
}

func readField(r *bufio.Reader) ([]byte, error) {
	length, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, noEOF(err)
	}
	if length > maxField {
		return nil, fmt.Errorf("a field of %d bytes", length)
	}
	field := make([]byte, length)
	_, err = io.ReadFull(r, field)
	return field, noEOF(err)
}

// noEOF says that an end came too early.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // io.EOF is returned as it is
		return io.ErrUnexpectedEOF
	}
	return err
}

// trailer is the last record.
type trailer struct {
	Keys   int64  `json:"keys"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest"`
}

func (t trailer) encode() ([]byte, error) { return json.Marshal(t) }
