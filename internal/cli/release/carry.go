package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/release"
)

func newExportCommand() *cobra.Command {
	var path string
	command := &cobra.Command{
		Use:   "export [VERSION...]",
		Short: "Write built versions to one file, for machines without a network",
		Long: `Write built versions, the default if none is named, to one file, from which
"berth release import" brings them to a machine that has no network at all.

The command prints the file's SHA-256 digest: carry it on another way, and give it
to the import, which then accepts this very file and no other.`,
		Example: `  berth release export --file berth-release.tar.zst
  berth release export 1.35 1.36 -f both.tar.zst`,
		RunE: func(command *cobra.Command, versions []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			store, err := release.Open(release.Options{})
			if err != nil {
				return err
			}
			if len(versions) == 0 {
				versions = []string{""}
			}
			display := newDisplay(command.ErrOrStderr())
			digest, err := exportFile(ctx, store, versions, path, display.show)
			display.end()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s  %s\n", digest, path)
			return err
		},
	}
	command.Flags().StringVarP(&path, "file", "f", "", "the file to write [required]")
	_ = command.MarkFlagRequired("file")
	return command
}

// exportFile writes beside the file and renames, so that a file under its name is whole.
func exportFile(ctx context.Context, store *release.Store, versions []string, path string, tell func(release.Progress)) (digest string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	sum := sha256.New()
	if err := store.Export(ctx, versions, io.MultiWriter(file, sum), tell); err != nil {
		return "", err
	}
	if err := errors.Join(file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), os.Rename(file.Name(), path)
}

func newImportCommand() *cobra.Command {
	var path, digest string
	command := &cobra.Command{
		Use:   "import",
		Short: "Bring versions from an exported file into this host's cache",
		Long: `Bring versions from a file that "berth release export" wrote into this host's
cache. It needs the same version of Berth as the export had, and root, because the
files of the node image belong to root. What the cache has stays as it is.`,
		Example: `  berth release import --file berth-release.tar.zst
  berth release import -f berth-release.tar.zst --sha256 "$(cut -d ' ' -f 1 berth-release.sha256)"`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if os.Geteuid() != 0 {
				return errors.New("importing a release needs root: sudo berth release import")
			}
			store, err := release.Open(release.Options{})
			if err != nil {
				return err
			}
			display := newDisplay(command.ErrOrStderr())
			versions, err := importFile(ctx, store, path, digest, display.show)
			display.end()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "Kubernetes %s is in %s\n", strings.Join(versions, " and "), store.Dir())
			return err
		},
	}
	command.Flags().StringVarP(&path, "file", "f", "", "the file to read [required]")
	command.Flags().StringVar(&digest, "sha256", "", "the digest that the export printed; another file is refused")
	_ = command.MarkFlagRequired("file")
	return command
}

// importFile compares the digest before it reads anything else of the file.
func importFile(ctx context.Context, store *release.Store, path, digest string, tell func(release.Progress)) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if digest != "" {
		sum := sha256.New()
		if _, err := io.Copy(sum, file); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, digest) {
			return nil, fmt.Errorf("%s has the digest %s, not %s: it is another file, or was damaged on its way", path, got, digest)
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
	}
	return store.Import(ctx, file, tell)
}
