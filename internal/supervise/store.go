package supervise

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// maxFile bounds what is read of a spec or a status: the directory belongs to
// the user that the components run under, who may be hostile.
const maxFile = 4 << 20

// supervisorLog is the name of the supervisor's own log; no component may have it.
const supervisorLog = "supervisor"

// Validate says what is wrong with a spec.
func (s Spec) Validate() error {
	name := regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)
	seen := map[string]bool{supervisorLog: true}
	for _, component := range s.Components {
		switch {
		case !name.MatchString(component.Name):
			return fmt.Errorf("component %q: the name is not lower-case letters, digits, dots and dashes", component.Name)
		case seen[component.Name]:
			return fmt.Errorf("component %s: the name is taken", component.Name)
		case len(component.Command) == 0 || !filepath.IsAbs(component.Command[0]):
			return fmt.Errorf("component %s: the command is not an absolute path", component.Name)
		}
		seen[component.Name] = true
		if component.Gate != nil {
			if err := component.Gate.validate(); err != nil {
				return fmt.Errorf("component %s: %w", component.Name, err)
			}
		}
	}
	return nil
}

// read reads a regular file in root into value. It never follows a link out of
// root, and never blocks on what is not a file.
func read(root *os.Root, name string, value any) error {
	file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("reading %s: it is not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(value); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// write replaces a file in root at once: whoever reads it finds the old or the
// new content. With durable set the new one survives a power failure.
func write(root *os.Root, name string, data []byte, uid int, durable bool) error {
	temporary := name + "." + rand.Text() // writers may meet: the last one wins, whole
	file, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = file.Write(data)
	if err == nil {
		err = giveTo(file, uid)
	}
	if err == nil && durable {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		_ = root.Remove(temporary) // what is wrong was said
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if durable {
		return syncDir(root)
	}
	return nil
}

func syncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// giveTo makes a file the user's. A file with a second name is left alone: it
// may be another's, linked here by the user.
func giveTo(file *os.File, uid int) error {
	var info unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &info); err != nil {
		return err
	}
	if info.Mode&unix.S_IFMT != unix.S_IFREG || info.Nlink != 1 {
		return fmt.Errorf("%s is not a regular file with one name", file.Name())
	}
	if uid == 0 || int(info.Uid) == uid {
		return nil
	}
	return file.Chown(uid, uid)
}
