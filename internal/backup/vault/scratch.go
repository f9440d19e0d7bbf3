package vault

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/supervise"
)

// scratchPrefix begins the names of scratch directories.
const scratchPrefix = "scratch-"

// scratchSocket is where a scratch etcd listens.
const scratchSocket = "client:0"

// firstUserID starts the range of ids out of which that of scratch etcds is
// taken, by the install's letters: apart from those of everything else.
const firstUserID = 0x0ffd0000

// The times of a scratch etcd.
const (
	scratchStart = 30 * time.Second
	scratchPause = 50 * time.Millisecond
)

// scratchLimits let a check take what is left over: everything else on the host goes first.
func scratchLimits() cgroup.Limits {
	return cgroup.Limits{MemoryBytes: 4 << 30, Pids: 512, CPUShares: 64}
}

// Verify restores a backup into an etcd that is made for it and thrown away,
// and compares what that etcd then holds. etcd is the path of the program.
func (v *Vault) Verify(ctx context.Context, id string, ring *backup.Keyring, etcd string) (header backup.Header, summary backup.Summary, err error) {
	file, err := v.Open(id)
	if err != nil {
		return header, summary, fmt.Errorf("verifying backup %s: %w", id, err)
	}
	defer file.Close()
	reader, err := backup.NewReader(file, ring)
	if err != nil {
		return header, summary, fmt.Errorf("verifying backup %s: %w", id, err)
	}
	defer reader.Close()
	scratch, err := v.startScratch(ctx, id, etcd)
	defer func() {
		// What was begun is taken away, whoever stopped waiting.
		err = errors.Join(err, v.removeScratch(context.WithoutCancel(ctx), id))
	}()
	v.step("scratch etcd started")
	if err == nil {
		err = v.fill(ctx, scratch, reader)
	}
	v.step("scratch etcd compared")
	if err != nil {
		return reader.Header, summary, fmt.Errorf("verifying backup %s: %w", id, noSpace(err))
	}
	return reader.Header, reader.Summary(), nil
}

// fill restores into a scratch etcd and compares.
func (v *Vault) fill(ctx context.Context, endpoint datastore.Endpoint, reader *backup.Reader) error {
	client, err := datastore.Dial(endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	to := datastore.Range{Client: client, Prefix: reader.Header.Prefix}
	if err := answers(ctx, to); err != nil {
		return err
	}
	entries := source(reader)
	if _, err := to.Replace(ctx, func() (backup.Entry, error) { v.step("entry to scratch"); return entries() }, datastore.Nothing); err != nil {
		return err
	}
	return compare(ctx, to, reader.Summary(), datastore.Nothing)
}

// answers waits until a scratch etcd answers.
func answers(ctx context.Context, to datastore.Range) error {
	ctx, cancel := context.WithTimeout(ctx, scratchStart)
	defer cancel()
	for {
		attempt, done := context.WithTimeout(ctx, time.Second)
		_, err := to.Snapshot(attempt)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the scratch etcd does not answer: %w", err)
		case <-time.After(scratchPause):
		}
	}
}

// startScratch starts an etcd on sockets in a directory of its own. It keeps
// nothing over a crash, and need not: it does not outlive the check.
func (v *Vault) startScratch(ctx context.Context, id, etcd string) (datastore.Endpoint, error) {
	if err := v.removeScratch(ctx, id); err != nil {
		return datastore.Endpoint{}, err
	}
	dir := v.scratchDir(id)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return datastore.Endpoint{}, err
	}
	v.step("scratch directory made")
	if uid := v.userID(); uid != 0 {
		if err := os.Lchown(dir, uid, uid); err != nil {
			return datastore.Endpoint{}, err
		}
	}
	if err := v.cgroups.Create(v.scratchGroup(id), scratchLimits()); err != nil {
		return datastore.Endpoint{}, err
	}
	// Sockets in the working directory: etcd wants the form of host and port in a peer's URL.
	const client, peer = "unix://" + scratchSocket, "unix://peer:0"
	_, err := v.scratchHandle(id).Ensure(ctx, supervise.Spec{Components: []supervise.Component{{
		Name: "etcd", Dir: dir, StopTimeout: time.Second,
		Command: []string{
			etcd, "--name=scratch", "--data-dir=" + filepath.Join(dir, "data"), "--unsafe-no-fsync", "--log-outputs=stderr",
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer, "--initial-cluster=scratch=" + peer, "--quota-backend-bytes=8589934592",
			"--snapshot-count=1000000",
		},
	}}})
	return datastore.Endpoint{Address: "unix://" + filepath.Join(dir, scratchSocket)}, err
}

// removeScratch takes a scratch etcd away. Its data is worth nothing: it is killed.
func (v *Vault) removeScratch(ctx context.Context, id string) error {
	if _, err := os.Lstat(v.scratchDir(id)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := v.cgroups.Kill(ctx, v.scratchGroup(id)); err != nil {
		return fmt.Errorf("ending the scratch etcd: %w", err)
	}
	v.step("scratch etcd killed")
	if err := v.cgroups.Remove(v.scratchGroup(id)); err != nil {
		return fmt.Errorf("ending the scratch etcd: %w", err)
	}
	v.step("scratch group removed")
	return os.RemoveAll(v.scratchDir(id))
}

func (v *Vault) scratchDir(id string) string   { return filepath.Join(v.dir, scratchPrefix+id) }
func (v *Vault) scratchGroup(id string) string { return v.prefix + "/backup-" + id }

func (v *Vault) scratchHandle(id string) supervise.Handle {
	return supervise.Handle{Dir: v.scratchDir(id), Program: v.supervisor, CgroupPath: v.scratchGroup(id), UserID: v.userID()}
}

// userID is the uid and gid of scratch etcds; 0, which is the caller's, where
// the caller could not change it.
func (v *Vault) userID() int {
	if os.Geteuid() != 0 {
		return 0
	}
	hash := fnv.New32a()
	hash.Write([]byte(v.instance))
	return firstUserID + int(hash.Sum32()&0xffff)
}
