package image

import (
	"bytes"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// compressedLayer is a layer that lies in its archive as zstd. Every node hashes
// and stores each archive at its start, while it unpacks a layer only for the
// first pod that runs it: bytes that are not there cost nobody anything.
type compressedLayer struct {
	packed, compressed []byte
}

// compressLayer compresses a tar, always to the same bytes.
func compressLayer(packed []byte) (v1.Layer, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("making an encoder: %w", err)
	}
	defer encoder.Close()
	return compressedLayer{packed: packed, compressed: encoder.EncodeAll(packed, nil)}, nil
}

// Digest implements v1.Layer.
func (l compressedLayer) Digest() (v1.Hash, error) { return sum(l.compressed) }

// DiffID implements v1.Layer.
func (l compressedLayer) DiffID() (v1.Hash, error) { return sum(l.packed) }

// Compressed implements v1.Layer.
func (l compressedLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.compressed)), nil
}

// Uncompressed implements v1.Layer.
func (l compressedLayer) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.packed)), nil
}

// Size implements v1.Layer.
func (l compressedLayer) Size() (int64, error) { return int64(len(l.compressed)), nil }

// MediaType implements v1.Layer.
func (l compressedLayer) MediaType() (types.MediaType, error) { return types.OCILayerZStd, nil }

func sum(content []byte) (v1.Hash, error) {
	hash, _, err := v1.SHA256(bytes.NewReader(content))
	return hash, err
}
