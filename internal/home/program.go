package home

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// InstallProgram copies a program into the home under a name made from its
// digest and returns the copy's path. What runs from there is not disturbed by
// a rebuild or an upgrade, and an unchanged program is not copied again.
func (h Home) InstallProgram(source string) (string, error) {
	file, err := os.Open(source)
	if err != nil {
		return "", fmt.Errorf("installing %s: %w", source, err)
	}
	defer file.Close()
	temporary, err := os.CreateTemp(h.BinDir(), ".berth-*")
	if err != nil {
		return "", fmt.Errorf("installing %s: %w", source, err)
	}
	defer os.Remove(temporary.Name())
	digest := sha256.New()
	_, err = io.Copy(io.MultiWriter(temporary, digest), file)
	if err = errors.Join(err, temporary.Chmod(0o755), temporary.Close()); err != nil {
		return "", fmt.Errorf("installing %s: %w", source, err)
	}
	target := filepath.Join(h.BinDir(), filepath.Base(source)+"-"+hex.EncodeToString(digest.Sum(nil)[:6]))
	if _, err := os.Stat(target); err == nil {
		return target, nil // it may be running: a rename over it would still be safe, but is needless
	}
	if err := os.Rename(temporary.Name(), target); err != nil {
		return "", fmt.Errorf("installing %s: %w", source, err)
	}
	return target, nil
}
