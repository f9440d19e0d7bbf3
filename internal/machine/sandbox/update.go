package sandbox

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/sandbox/inside"
	"berth.dev/berth/internal/supervise"
)

// update brings files that changed into a running machine, and then the
// components that go with them, which its supervisor picks up. A file that
// did not change is left as it is: what is inside belongs to the machine. The
// record is written last, so that a kill after any line is made up for by the next
// look. Changed components alone are for the next start, and so they are beside files
// that only a start reads: a newer Berth restarts nothing where it need not.
func (p *Provider) update(desired machine.Desired, first int) error {
	record, err := inside.ReadRecord(p.dir(desired.ID))
	if err != nil {
		return err
	}
	changed, read := changedFiles(record.Desired.Files, desired.Files)
	if len(changed) == 0 {
		return nil
	}
	if !read {
		desired.Components = record.Desired.Components
	}
	root, err := openRoot(first)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if err := replaceInside(root, name, changed[name], desired.IDRangeStart); err != nil {
			return fmt.Errorf("bringing %s into machine %s: %w", name, desired.ID, err)
		}
	}
	spec, err := json.Marshal(desired.Spec())
	if err != nil {
		return fmt.Errorf("encoding the components of machine %s: %w", desired.ID, err)
	}
	name := path.Join(inside.SuperviseDir, supervise.SpecFile)
	if err := replaceInside(root, name, machine.File{Mode: 0o600, Content: spec}, desired.IDRangeStart); err != nil {
		return fmt.Errorf("bringing the components into machine %s: %w", desired.ID, err)
	}
	record.Desired = desired
	return record.Write(p.dir(desired.ID))
}

// changedFiles are those that differ from what is known of a machine; read says
// whether components that run read one of them.
func changedFiles(known, desired map[string]machine.File) (changed map[string]machine.File, read bool) {
	changed = map[string]machine.File{}
	for name, file := range desired {
		if before, there := known[name]; !there || before.Mode != file.Mode || !bytes.Equal(before.Content, file.Content) {
			changed[name] = file
			read = read || !file.AtStart
		}
	}
	return changed, read
}

// replaceInside replaces a file of a machine at once. The tenant may have put
// anything there: no link is followed, no other file system entered, and what
// is replaced is a name, never what it leads to.
func replaceInside(root int, name string, file machine.File, owner int) error {
	dir, err := openInside(root, path.Dir(name), unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	random := make([]byte, 8)
	rand.Read(random) // never fails: crypto/rand ends the process instead
	temporary := "." + path.Base(name) + "." + hex.EncodeToString(random)
	fd, err := unix.Openat(int(dir.Fd()), temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	written := os.NewFile(uintptr(fd), temporary)
	_, err = written.Write(file.Content)
	err = errors.Join(err, written.Chown(owner, owner), written.Chmod(file.Mode.Perm()), written.Close())
	if err == nil {
		err = unix.Renameat(int(dir.Fd()), temporary, int(dir.Fd()), path.Base(name))
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(int(dir.Fd()), temporary, 0))
	}
	return nil
}
