package preflight

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// checkTools looks for the programs that the drivers run.
func checkTools() Finding {
	packages := map[string]string{"mkfs.ext4": "e2fsprogs", "mount": "mount"}
	var missing []string
	for program, name := range packages {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return failed("tools", "apt-get install -y "+strings.Join(missing, " "), "missing: %s", strings.Join(missing, ", "))
	}
	if _, err := exec.LookPath("mkfs.xfs"); err != nil {
		return warning("tools", "apt-get install -y xfsprogs", "missing: xfsprogs, without which claims of volumes get no disks")
	}
	return ok("tools", "every program that is needed is there")
}

// checkPath makes sure that control planes, which run under ids of their own,
// can reach their files: every directory above the home must let them pass.
func checkPath(home string) Finding {
	for dir := filepath.Clean(home); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && info.IsDir() && info.Mode().Perm()&0o001 == 0 {
			return failed("home", "chmod o+x "+dir, "%s lets no other user pass, and control planes run under ids of their own", dir)
		}
		if dir == filepath.Dir(dir) {
			return ok("home", "%s can be reached", home)
		}
	}
}

// checkDisk says whether a directory, or the one that it will be made in, has room.
func checkDisk(name, dir string, wantedGiB uint64) Finding {
	existing := filepath.Clean(dir)
	for existing != filepath.Dir(existing) {
		if _, err := os.Stat(existing); err == nil {
			break
		}
		existing = filepath.Dir(existing)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(existing, &stat); err != nil {
		return warning("disk of "+name, "", "cannot look at %s: %v", existing, err)
	}
	free := stat.Bavail * uint64(stat.Bsize) >> 30
	if free < wantedGiB {
		return warning("disk of "+name, "df -h "+existing, "%d GiB are free for %s; %d or more are advised", free, dir, wantedGiB)
	}
	return ok("disk of "+name, "%d GiB are free for %s", free, dir)
}

// checkOpenFiles looks at this process's own limit, which its children inherit.
func checkOpenFiles() Finding {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return warning("files", "", "cannot read the limit of open files: %v", err)
	}
	if limit.Max < 65536 {
		return warning("files", "ulimit -Hn 1048576", "a process may open %d files; etcd and containerd want 65536", limit.Max)
	}
	return ok("files", "a process may open %d files", limit.Max)
}
