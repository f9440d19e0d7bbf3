package command

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
)

// PackOutput compresses what a command printed, cut at MaxOutput with a last
// line that says so.
func PackOutput(output []byte) ([]byte, error) {
	note := ""
	if len(output) > MaxOutput {
		output = output[:MaxOutput]
		note = fmt.Sprintf("\n[the output was cut here: only the first %d bytes are kept]\n", MaxOutput)
	}
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	for _, part := range [][]byte{output, []byte(note)} {
		if _, err := compressed.Write(part); err != nil {
			return nil, fmt.Errorf("compressing output: %w", err)
		}
	}
	if err := compressed.Close(); err != nil {
		return nil, fmt.Errorf("compressing output: %w", err)
	}
	return packed.Bytes(), nil
}

// UnpackOutput is what PackOutput was given, as text: bytes that are none are replaced.
func UnpackOutput(packed []byte) (string, error) {
	if len(packed) == 0 {
		return "", nil
	}
	compressed, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", fmt.Errorf("reading stored output: %w", err)
	}
	output, err := io.ReadAll(io.LimitReader(compressed, 2*MaxOutput))
	if err != nil {
		return "", fmt.Errorf("reading stored output: %w", err)
	}
	return strings.ToValidUTF8(string(output), "\uFFFD"), nil
}
