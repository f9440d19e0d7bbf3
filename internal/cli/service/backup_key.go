package service

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/cli/output"
)

// maxPassphrase bounds the file of a passphrase, in bytes.
const maxPassphrase = 4096

func newBackupKeyCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "backup-key",
		Short: "The keys that backups are encrypted with",
		Long: `The keys that backups are encrypted with. The current one encrypts new backups, every one
opens those that it encrypted. A backup that was downloaded is of use only to a service
that holds its key: export the keys, and keep them apart from the backups.`,
		Example: `  berth admin backup-key list -o table
  berth admin backup-key export --file keys.pem --passphrase-file passphrase`,
		Args: cobra.NoArgs,
	}
	command.AddCommand(newKeyListCommand(), newKeyExportCommand(), newKeyImportCommand(), newKeyRotateCommand())
	return command
}

// onKeys runs a command on the keys of the install in a home.
func onKeys(o *app.Options, run func(command *cobra.Command, keys *app.BackupKeys) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, _ []string) error {
		if err := requireRoot(command); err != nil {
			return err
		}
		h, err := open(o.Home)
		if err != nil {
			return err
		}
		keys, err := app.OpenBackupKeys(h)
		if err != nil {
			return err
		}
		return run(command, keys)
	}
}

// printKeys prints how the keys stand.
func printKeys(command *cobra.Command, keys *app.BackupKeys, format output.Format) error {
	found, err := keys.List(command.Context())
	if err != nil {
		return err
	}
	return output.Printer{Out: command.OutOrStdout(), Format: format, Query: &output.Query{}}.Print(found, output.Columns{Columns: []output.Column{
		{Header: "Id", Path: "id"}, {Header: "Current", Path: "current"}, {Header: "Tenant", Path: "tenantId"}, {Header: "Backups", Path: "backups"},
	}})
}

func newKeyListCommand() *cobra.Command {
	var o app.Options
	format := output.JSON
	command := &cobra.Command{
		Use:   "list",
		Short: "List the keys: which is current, whose they are, how many backups need each",
		Example: `  berth admin backup-key list
  berth admin backup-key list -o table`,
		Args: cobra.NoArgs,
		RunE: onKeys(&o, func(command *cobra.Command, keys *app.BackupKeys) error { return printKeys(command, keys, format) }),
	}
	addHome(command, &o)
	addOutput(command, &format)
	return command
}

func newKeyRotateCommand() *cobra.Command {
	var o app.Options
	format := output.JSON
	command := &cobra.Command{
		Use:   "rotate",
		Short: "Encrypt new backups with a new key; old keys stay for old backups",
		Long: `Encrypt new backups with a new key. Old keys stay, because old backups need them: what must
not be readable with an old key any more has to be deleted and taken anew. Export the keys
again after that.`,
		Example: `  berth admin backup-key rotate
  berth admin backup-key rotate -o table`,
		Args: cobra.NoArgs,
		RunE: onKeys(&o, func(command *cobra.Command, keys *app.BackupKeys) error {
			if err := keys.Rotate(command.Context()); err != nil {
				return fmt.Errorf("rotating the backup key: %w", err)
			}
			return printKeys(command, keys, format)
		}),
	}
	addHome(command, &o)
	addOutput(command, &format)
	return command
}

func newKeyExportCommand() *cobra.Command {
	var o app.Options
	var file, passphraseFile, id string
	command := &cobra.Command{
		Use:   "export",
		Short: "Write the keys to a file that another service imports",
		Long: `Write the keys to a file that another service imports, readable by root alone. Whoever has
that file and a backup has all of the cluster, its Secrets and CAs included: encrypt it with
a passphrase, and keep it apart from the backups.`,
		Example: `  berth admin backup-key export --file keys.pem --passphrase-file passphrase
  berth admin backup-key export --file key.pem --key-id 0123456789abcdef`,
		Args: cobra.NoArgs,
		RunE: onKeys(&o, func(command *cobra.Command, keys *app.BackupKeys) error {
			passphrase, err := readPassphrase(passphraseFile)
			if err != nil {
				return err
			}
			found, err := keys.Export(command.Context())
			if err != nil {
				return err
			}
			if found, err = chosen(found, id); err != nil {
				return err
			}
			if err := exportTo(file, found, passphrase); err != nil {
				return fmt.Errorf("exporting the backup keys: %w", err)
			}
			fmt.Fprintf(command.ErrOrStderr(), "%s holds the keys of backups: %d. Keep it apart from them.\n", file, len(found))
			return nil
		}),
	}
	addHome(command, &o)
	addKeyFile(command, &file, &passphraseFile, "file to write; it must not be there")
	command.Flags().StringVar(&id, "key-id", "", "export this key alone")
	return command
}

// chosen is one key, or all without an id.
func chosen(keys []backup.PortableKey, id string) ([]backup.PortableKey, error) {
	if id == "" {
		return keys, nil
	}
	for _, key := range keys {
		if key.ID == id {
			return []backup.PortableKey{key}, nil
		}
	}
	return nil, fmt.Errorf("there is no backup key %q: berth admin backup-key list names those that are there", id)
}

// exportTo writes a file that is whole, or not there.
func exportTo(path string, keys []backup.PortableKey, passphrase string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = backup.WriteKeys(file, keys, passphrase)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

func newKeyImportCommand() *cobra.Command {
	var o app.Options
	var file, passphraseFile string
	format := output.JSON
	command := &cobra.Command{
		Use:   "import",
		Short: "Take keys of another service in, whose backups can then be uploaded here",
		Long: `Take keys of another service in. Backups that it wrote can then be uploaded here and
restored to new clusters; new backups are encrypted with this service's own key as before.
Either all keys of the file are taken in or none; those that are here already stay.`,
		Example: `  berth admin backup-key import --file keys.pem --passphrase-file passphrase
  berth admin backup-key import --file key.pem -o table`,
		Args: cobra.NoArgs,
		RunE: onKeys(&o, func(command *cobra.Command, keys *app.BackupKeys) error {
			passphrase, err := readPassphrase(passphraseFile)
			if err != nil {
				return err
			}
			source, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("importing backup keys: %w", err)
			}
			defer source.Close()
			read, err := backup.ReadKeys(source, passphrase)
			if errors.Is(err, backup.ErrPassphraseNeeded) {
				err = fmt.Errorf("%w: name its file with --passphrase-file", err)
			}
			if err != nil {
				return fmt.Errorf("importing backup keys from %s: %w", file, err)
			}
			added, err := keys.Import(command.Context(), read)
			if err != nil {
				return fmt.Errorf("importing backup keys: %w", err)
			}
			fmt.Fprintf(command.ErrOrStderr(), "%d of %d keys are new here.\n", len(added), len(read))
			return printKeys(command, keys, format)
		}),
	}
	addHome(command, &o)
	addOutput(command, &format)
	addKeyFile(command, &file, &passphraseFile, "file to read")
	return command
}

// addKeyFile adds the flags of a file of keys.
func addKeyFile(command *cobra.Command, file, passphraseFile *string, usage string) {
	command.Flags().StringVarP(file, "file", "f", "", usage)
	command.Flags().StringVar(passphraseFile, "passphrase-file", "", "file with the passphrase that the keys are encrypted with; - is the standard input")
	if err := command.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag was added above
	}
}

// readPassphrase reads the first line of a file; nothing without one. A
// passphrase in an argument could be seen by everyone on the host.
func readPassphrase(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	source := io.Reader(os.Stdin)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", err)
		}
		defer file.Close()
		source = file
	}
	content, err := io.ReadAll(io.LimitReader(source, maxPassphrase))
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("reading the passphrase: the first line of %s is empty", path)
	}
	return line, nil
}
