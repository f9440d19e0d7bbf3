package supervise

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"time"
)

// identities computes what a process is started from: the fields of its
// component that a running process cannot take on, and the content of the
// files it asked to be restarted for. Contents are read again only when a
// file's size or times changed.
type identities struct {
	sums map[string]fileSum
}

type fileSum struct {
	size    int64
	changed time.Time
	sum     string
}

func (i *identities) of(component Component) string {
	digest := sha256.New()
	// Marshalling strings and numbers cannot fail.
	process, _ := json.Marshal(struct { //nolint:errchkjson // see above
		Command, Env []string
		Arg0, Dir    string
		OOMScoreAdj  int
	}{component.Command, component.Env, component.Arg0, component.Dir, component.OOMScoreAdj})
	digest.Write(process)
	for _, path := range component.RestartOnChange {
		digest.Write([]byte(path + "\x00" + i.sum(path) + "\x00"))
	}
	return hex.EncodeToString(digest.Sum(nil)[:16])
}

// sum is the digest of a file, empty for one that cannot be read.
func (i *identities) sum(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	known, ok := i.sums[path]
	if ok && known.size == info.Size() && known.changed.Equal(info.ModTime()) {
		return known.sum
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	digest := sha256.Sum256(content)
	if i.sums == nil {
		i.sums = map[string]fileSum{}
	}
	i.sums[path] = fileSum{size: info.Size(), changed: info.ModTime(), sum: hex.EncodeToString(digest[:])}
	return i.sums[path].sum
}
