package app

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	authorization "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/preflight"
)

// maxLogTail is how much of the end of each log a dump has.
const maxLogTail = 8 << 20

// maxMachineLogTail is how much of the end of each log inside a machine it has.
const maxMachineLogTail = 2 << 20

// Dump writes a support bundle as tar.gz. What cannot be gathered is named in
// it: it is asked for when things are broken. No secret is in it.
func Dump(ctx context.Context, o Options, w io.Writer) error {
	h, err := home.Open(o.Home)
	if err != nil {
		return err
	}
	compressed := gzip.NewWriter(w)
	b := &bundle{tar: tar.NewWriter(compressed), redact: newRedactor(h), now: time.Now()}
	b.gatherStatus(ctx, o)
	b.gatherLogs(h)
	b.gatherMachines(ctx, h)
	b.gatherObjects(ctx, h)
	b.gatherNamespaces(ctx, h)
	b.add("errors.txt", []byte(strings.Join(b.problems, "\n")))
	if err := errors.Join(b.failed, b.tar.Close(), compressed.Close()); err != nil {
		return fmt.Errorf("writing the dump: %w", err)
	}
	return nil
}

// bundle is a support bundle that is being written.
type bundle struct {
	tar    *tar.Writer
	redact redactor
	now    time.Time
	// problems are what could not be gathered; failed is why nothing can be written any more.
	problems []string
	failed   error
}

func (b *bundle) add(name string, content []byte) {
	if b.failed != nil {
		return
	}
	content = b.redact.clean(content)
	header := &tar.Header{Name: "berth-support/" + name, Mode: 0o600, Size: int64(len(content)), ModTime: b.now}
	if b.failed = b.tar.WriteHeader(header); b.failed == nil {
		_, b.failed = b.tar.Write(content)
	}
}

func (b *bundle) problem(doing string, err error) {
	b.problems = append(b.problems, fmt.Sprintf("%s: %v", doing, err))
}

func (b *bundle) gatherStatus(ctx context.Context, o Options) {
	status, err := ReadStatus(ctx, o)
	if err != nil {
		b.problem("reading the status", err)
	}
	if content, err := json.MarshalIndent(status, "", "  "); err == nil {
		b.add("status.json", content)
	}
	var screen bytes.Buffer
	if err := preflight.Render(&screen, preflight.Check(o.preflight())); err == nil {
		b.add("preflight.txt", screen.Bytes())
	}
}

// gatherLogs takes the end of every log of the home. Audit logs are the
// tenants' own business and stay.
func (b *bundle) gatherLogs(h home.Home) {
	for _, dir := range []string{h.LogDir(), h.ManagementDir(), h.DNSDir(), h.ControlPlanesDir(), h.MachinesDir()} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // it went away while we looked
			}
			if entry.IsDir() && (entry.Name() == "pki" || entry.Name() == "etcd" || entry.Name() == "disk" || entry.Name() == "root") {
				return filepath.SkipDir
			}
			if !entry.Type().IsRegular() || !strings.Contains(entry.Name(), ".log") || strings.Contains(entry.Name(), "audit") {
				return nil
			}
			content, err := tail(path)
			if err != nil {
				b.problem("reading a log", err)
				return nil
			}
			name, err := filepath.Rel(h.Dir, path)
			if err == nil {
				b.add(filepath.Join("logs", name), content)
			}
			return err
		})
		if err != nil {
			b.problem("gathering logs", err)
		}
	}
}

// gatherMachines takes the end of every log inside the machines that run.
func (b *bundle) gatherMachines(ctx context.Context, h home.Home) {
	d, err := newDrivers(h, "", "")
	if err != nil {
		b.problem("reaching the machines", err)
		return
	}
	reader, ok := d.provider.(machine.LogReader)
	if !ok {
		b.problem("reading the machines' logs", errors.ErrUnsupported)
		return
	}
	ids, err := d.provider.List(ctx)
	if err != nil {
		b.problem("reading the machines' logs", err)
	}
	b.addMachines(ctx, reader, ids)
}

func (b *bundle) addMachines(ctx context.Context, reader machine.LogReader, ids []string) {
	for _, id := range ids {
		logs, err := reader.Logs(ctx, id, maxMachineLogTail)
		if err != nil {
			b.problem("reading the logs of machine "+id, err)
		}
		for _, name := range slices.Sorted(maps.Keys(logs)) {
			b.add(filepath.Join("logs", "machines", id, "inside", filepath.Base(name)), logs[name])
		}
	}
}

// tail is the end of a file, from a whole line on.
func tail(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() <= maxLogTail {
		return io.ReadAll(io.LimitReader(file, maxLogTail))
	}
	content := make([]byte, maxLogTail)
	if _, err := file.ReadAt(content, info.Size()-maxLogTail); err != nil {
		return nil, err
	}
	if i := bytes.IndexByte(content, '\n'); i >= 0 {
		content = content[i+1:]
	}
	return content, nil
}

// gatherObjects takes Berth's own objects; Secrets are none of them.
func (b *bundle) gatherObjects(ctx context.Context, h home.Home) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	config, err := managementConfig(h)
	if err != nil {
		b.problem("reaching the management API", err)
		return
	}
	scheme, err := newScheme()
	if err != nil {
		b.problem("reaching the management API", err)
		return
	}
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: newMapper(scheme)})
	if err != nil {
		b.problem("reaching the management API", err)
		return
	}
	for kind := range scheme.AllKnownTypes() {
		if !strings.HasSuffix(kind.Group, ".berth.dev") || !strings.HasSuffix(kind.Kind, "List") {
			continue
		}
		object, err := scheme.New(kind)
		list, ok := object.(client.ObjectList)
		if err != nil || !ok {
			continue
		}
		if err := c.List(ctx, list); err != nil {
			b.problem("listing "+kind.Kind, err)
			continue
		}
		b.addObjects(strings.TrimSuffix(kind.Kind, "List"), list)
	}
}

func (b *bundle) addObjects(kind string, list client.ObjectList) {
	var text bytes.Buffer
	objects, err := apimeta.ExtractList(list)
	if err != nil {
		b.problem("listing "+kind, err)
		return
	}
	for _, object := range objects {
		if principal, ok := object.(*authorization.ServicePrincipal); ok {
			for i := range principal.Spec.Passwords {
				principal.Spec.Passwords[i].Hash = blot
			}
		}
		content, err := yaml.Marshal(object)
		if err != nil {
			b.problem("writing a "+kind, err)
			continue
		}
		fmt.Fprintf(&text, "---\n%s", content)
	}
	b.add("objects/"+strings.ToLower(kind)+".yaml", text.Bytes())
}

// gatherNamespaces shows links, routes and rules of the install's namespaces.
func (b *bundle) gatherNamespaces(ctx context.Context, h home.Home) {
	paths, err := filepath.Glob("/run/netns/" + h.Prefix() + "-*")
	if err != nil {
		b.problem("listing namespaces", err)
	}
	for _, path := range paths {
		namespace := filepath.Base(path)
		var text bytes.Buffer
		for _, command := range [][]string{
			{"ip", "-n", namespace, "address"}, {"ip", "-n", namespace, "route", "show", "table", "all"}, {"ip", "-n", namespace, "rule"},
		} {
			b.run(ctx, &text, command)
		}
		b.gatherRules(ctx, &text, namespace)
		b.add("namespaces/"+namespace+".txt", text.Bytes())
	}
}

// blot stands where a secret was.
const blot = "(left out)"

// redactor blots secrets out of text.
type redactor struct {
	patterns []*regexp.Regexp
	words    []string
}

// newRedactor knows what secrets look like, and the one that it can read.
func newRedactor(h home.Home) redactor {
	r := redactor{patterns: []*regexp.Regexp{
		regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`),
		regexp.MustCompile(`(?i)(bearer|basic) +[A-Za-z0-9._~+/=-]{16,}`),
		regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*`),
		regexp.MustCompile(`\b[a-z0-9]{6}\.[a-z0-9]{16}\b`), // bootstrap tokens
		regexp.MustCompile(`(?i)(client_secret|password)(=|":\s*")[^&"\s]+`),
		regexp.MustCompile(`\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}`), // bcrypt
	}}
	if stored, err := cloud.Load(h.CloudFile()); err == nil && stored.ClientSecret != "" {
		r.words = append(r.words, stored.ClientSecret)
	}
	return r
}

func (r redactor) clean(content []byte) []byte {
	for _, word := range r.words {
		content = bytes.ReplaceAll(content, []byte(word), []byte(blot))
	}
	for _, pattern := range r.patterns {
		content = pattern.ReplaceAll(content, []byte(blot))
	}
	return content
}
