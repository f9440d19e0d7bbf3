package agent

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/supervise"
)

// The bounds of what is told of deprecated APIs. The audit log is the source,
// because it outlives API servers and says when and by whom; it belongs to a user
// who may be hostile.
const (
	deprecatedFor   = 12 * time.Hour
	maxDeprecated   = 100
	maxAuditLine    = 1 << 20
	maxAuditFile    = 64 << 20
	removedRelease  = "k8s.io/removed-release"
	auditFilePrefix = "audit"
)

// deprecations remembers, for each control plane, how far its audit logs were
// read. A process that starts reads what there is once more.
type deprecations struct {
	mu   sync.Mutex
	read map[string]map[uint64]int64 // by directory, then by the file's inode
}

// Update brings what a status says of deprecated APIs up to date.
func (d *deprecations) Update(dir string, status *containerservice.ControlPlaneStatus, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := map[string]containerservice.DeprecatedAPI{}
	for _, api := range status.DeprecatedAPIs {
		known[api.Resource] = api
	}
	err := d.scan(dir, known)
	var apis []containerservice.DeprecatedAPI
	for _, api := range known {
		if now.Sub(api.LastUsed.Time) <= deprecatedFor {
			apis = append(apis, api)
		}
	}
	slices.SortFunc(apis, func(a, b containerservice.DeprecatedAPI) int { return cmp.Compare(a.Resource, b.Resource) })
	status.DeprecatedAPIs = apis[:min(len(apis), maxDeprecated)]
	return err
}

// scan reads what was added to the audit logs since the last time.
func (d *deprecations) scan(dir string, known map[string]containerservice.DeprecatedAPI) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	logs, err := root.OpenFile(supervise.LogDir, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer logs.Close()
	entries, err := logs.ReadDir(1000)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if d.read == nil {
		d.read = map[string]map[uint64]int64{}
	}
	before, after := d.read[dir], map[uint64]int64{}
	var errs []error
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), auditFilePrefix) && strings.HasSuffix(entry.Name(), ".log") {
			errs = append(errs, scanFile(root, supervise.LogDir+"/"+entry.Name(), before, after, known))
		}
	}
	d.read[dir] = after
	return errors.Join(errs...)
}

// scanFile reads the whole lines of one file from where it was read to.
func scanFile(root *os.Root, name string, before, after map[uint64]int64, known map[string]containerservice.DeprecatedAPI) error {
	file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // rotated away meanwhile
	}
	if err != nil {
		return err
	}
	defer file.Close()
	var info unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &info); err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG {
		return err
	}
	offset := before[info.Ino]
	if offset > info.Size {
		offset = 0 // cut short, or another file under the same number
	}
	if offset, err = file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewReaderSize(io.LimitReader(file, maxAuditFile), maxAuditLine)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) { // the rest is not written yet
			after[info.Ino] = offset
			return nil
		}
		offset += int64(len(line))
		if bytes.Contains(line, []byte(removedRelease)) {
			note(line, known)
		}
	}
}

// note takes one event in.
func note(line []byte, known map[string]containerservice.DeprecatedAPI) {
	var event auditv1.Event
	if json.Unmarshal(line, &event) != nil || event.ObjectRef == nil || event.Annotations[removedRelease] == "" {
		return
	}
	ref := event.ObjectRef
	api := containerservice.DeprecatedAPI{
		Resource:       strings.TrimPrefix(ref.APIGroup+"/"+ref.APIVersion+"/"+ref.Resource, "/"),
		RemovedRelease: event.Annotations[removedRelease],
		User:           event.User.Username, UserAgent: event.UserAgent,
		LastUsed: metav1.NewTime(event.RequestReceivedTimestamp.Truncate(time.Minute)), // a write a minute at most
	}
	if before, there := known[api.Resource]; !there || before.LastUsed.Before(&api.LastUsed) {
		known[api.Resource] = api
	}
}
