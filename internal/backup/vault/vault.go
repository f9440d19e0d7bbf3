// Package vault keeps the files of backups on a host, and does with them what
// needs the host: takes them, checks each by restoring it into a scratch etcd,
// and restores them into the etcd of a control plane. It decides nothing: which
// backups there are to be, Backup objects say.
//
//	<home>/backups/<id>.backup      a whole backup, 0600; it appears at once and never changes
//	<home>/backups/<id>.new         one that is being written or read before it counts; gone
//	                                with the next attempt, its object, or the collector
//	<home>/backups/scratch-<id>/    the scratch etcd of a check, gone when the check ends
package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/home"
)

// ErrNoSpace says that the disk has no room for a backup.
var ErrNoSpace = errors.New("the disk has no room for the backup")

// Options is what a Vault needs.
type Options struct {
	// Home says where the files lie and what the install's names begin with.
	Home home.Home
	// Supervisor is the path of the berth-supervisor binary.
	Supervisor string
	// Cgroups are the host's.
	Cgroups cgroup.Hierarchy
	// Step is called between any two steps that a kill could come between, with
	// the name of the one that is done; nil: nobody asks.
	Step func(name string)
}

// Vault is the backups of one host. It holds no state but the files.
type Vault struct {
	dir, prefix, supervisor, instance string
	cgroups                           cgroup.Hierarchy
	step                              func(name string)
}

// New makes a Vault. It touches nothing.
func New(options Options) *Vault {
	if options.Step == nil {
		options.Step = func(string) {}
	}
	return &Vault{
		dir: options.Home.BackupsDir(), prefix: options.Home.Prefix(), supervisor: options.Supervisor,
		instance: options.Home.Instance, cgroups: options.Cgroups, step: options.Step,
	}
}

// The endings of files.
const (
	whole = ".backup"
	fresh = ".new"
)

func (v *Vault) path(id string) string { return filepath.Join(v.dir, id+whole) }

func checkID(id string) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`).MatchString(id) {
		return fmt.Errorf("%q is not the id of a backup", id)
	}
	return nil
}

// Open opens a whole backup; fs.ErrNotExist without one.
func (v *Vault) Open(id string) (*os.File, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	return os.Open(v.path(id))
}

// Remove removes all of a backup; nil if there is nothing.
func (v *Vault) Remove(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := v.removeScratch(ctx, id); err != nil {
		return fmt.Errorf("removing backup %s: %w", id, err)
	}
	for _, ending := range []string{fresh, whole} {
		if err := os.Remove(filepath.Join(v.dir, id+ending)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing backup %s: %w", id, err)
		}
	}
	return nil
}

// List names every backup of which anything is left.
func (v *Vault) List() ([]string, error) {
	entries, err := os.ReadDir(v.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing backups: %w", err)
	}
	var ids []string
	for _, entry := range entries {
		id := strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(entry.Name(), whole), fresh), scratchPrefix)
		if checkID(id) == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Receive writes a backup that comes from somewhere else, whole or not at all.
// It does not count as one, and nobody can open it, before check has read it and
// found nothing wrong.
func (v *Vault) Receive(id string, from io.Reader, check func(io.Reader) error) error {
	return v.write(id, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	}, check)
}

// write makes the file of a backup appear at once, with all that write wrote,
// durably. After an error nothing of it is left; after a kill, what the next
// attempt or Remove takes away.
func (v *Vault) write(id string, write func(io.Writer) error, check func(io.Reader) error) (err error) {
	if err := checkID(id); err != nil {
		return err
	}
	if err := os.MkdirAll(v.dir, 0o711); err != nil {
		return fmt.Errorf("writing backup %s: %w", id, err)
	}
	temporary := filepath.Join(v.dir, id+fresh)
	file, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("writing backup %s: %w", id, noSpace(err))
	}
	defer func() {
		if err != nil {
			os.Remove(temporary)
		}
	}()
	v.step("file made")
	err = write(&frugal{file: file})
	v.step("file written")
	if err == nil {
		err = file.Sync()
	}
	v.step("file synced")
	if _, seekErr := file.Seek(0, io.SeekStart); err == nil {
		err = seekErr
	}
	if err == nil {
		err = check(file)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing backup %s: %w", id, noSpace(err))
	}
	if err = os.Rename(temporary, v.path(id)); err != nil {
		return fmt.Errorf("writing backup %s: %w", id, noSpace(err))
	}
	v.step("file in place")
	return home.SyncDir(v.dir)
}

// noSpace gives the error of a full disk its name.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// Take writes a backup of what a cluster's range holds now. The header needs
// all but revision, keys and key id. A backup that is there already stays as it is.
func (v *Vault) Take(ctx context.Context, id string, from datastore.Range, ring *backup.Keyring, of Content) (backup.Header, error) {
	if known, err := v.Header(id); err == nil {
		return known, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return backup.Header{}, err
	}
	snapshot, err := from.Snapshot(ctx)
	if err != nil {
		return backup.Header{}, err
	}
	header := of.Header
	header.Revision, header.Keys = snapshot.Revision, snapshot.Keys
	err = v.write(id, func(w io.Writer) error {
		out, err := backup.NewWriter(w, ring, header, of.Credentials)
		if err != nil {
			return err
		}
		if err := snapshot.Each(ctx, func(entry backup.Entry) error {
			v.step("entry read")
			return out.Add(entry)
		}); err != nil {
			return err
		}
		_, err = out.Close()
		return err
	}, func(io.Reader) error { return nil }) // it is checked by restoring it
	if err != nil {
		return backup.Header{}, err
	}
	return v.Header(id)
}

// TakeFrom is Take of the range below a prefix in the etcd at an endpoint.
func (v *Vault) TakeFrom(ctx context.Context, id string, from datastore.Endpoint, ring *backup.Keyring, of Content) (backup.Header, error) {
	client, err := datastore.Dial(from)
	if err != nil {
		return backup.Header{}, err
	}
	defer client.Close()
	return v.Take(ctx, id, datastore.Range{Client: client, Prefix: of.Header.Prefix}, ring, of)
}

// Content is what a backup holds beside the keys.
type Content struct {
	Header      backup.Header
	Credentials map[string][]byte
}

// Header is what a backup says it is of. fs.ErrNotExist without a file.
func (v *Vault) Header(id string) (backup.Header, error) {
	file, err := v.Open(id)
	if err != nil {
		return backup.Header{}, err
	}
	defer file.Close()
	return backup.ReadHeader(file)
}

// Size is the length of a backup's file in bytes.
func (v *Vault) Size(id string) (int64, error) {
	file, err := v.Open(id)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
