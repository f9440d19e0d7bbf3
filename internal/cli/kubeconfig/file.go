package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// lockWait is how long another program may keep the file to itself.
const lockWait = 5 * time.Second

// DefaultFile is the file that kubectl writes to: of $KUBECONFIG's files, or
// ~/.kube/config.
func DefaultFile() string {
	return clientcmd.NewDefaultPathOptions().GetDefaultFilename()
}

// MergeFile merges credentials into a file, which need not exist, and returns
// the name of the context that is now the current one. Only the file's owner
// can read it.
func MergeFile(ctx context.Context, path string, credentials []byte, options Options) (string, error) {
	// A link is followed, so that it stays one.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("making the kubeconfig's directory: %w", err)
	}
	unlock, err := lock(ctx, path)
	if err != nil {
		return "", err
	}
	defer unlock()
	existing, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the kubeconfig file: %w", err)
	}
	merged, name, err := Merge(existing, credentials, options)
	if err != nil {
		return "", fmt.Errorf("merging into %s: %w", path, err)
	}
	return name, replace(path, merged)
}

// replace writes a file whole or not at all, for its owner alone.
func replace(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".kubeconfig-*") // created with mode 0600
	if err != nil {
		return fmt.Errorf("writing the kubeconfig file: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing the kubeconfig file: %w", err)
	}
	return nil
}

// lock takes the lock file that kubectl takes, too, so that neither loses what
// the other writes.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	name := path + ".lock"
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			return func() { _ = os.Remove(name) }, file.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("locking the kubeconfig file: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("locking the kubeconfig file: another program holds it; if none does, remove %s", name)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
