package release

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// cgroupRoot is where every distribution mounts control groups.
const cgroupRoot = "/sys/fs/cgroup"

// Build makes a release complete and returns it. It builds only what the cache
// lacks, part by part; a part that another process builds is waited for. What
// was built stays when ctx ends, so the next Build goes on from there. tell may
// be nil; it must not block, and its calls do not overlap.
func (s *Store) Build(ctx context.Context, version string, tell func(Progress)) (Artifacts, error) {
	resolved, ok := Resolve(version)
	if !ok {
		return Artifacts{}, fmt.Errorf("building Kubernetes %s: it %w", version, ErrUnknownVersion)
	}
	if artifacts, ok := s.Lookup(resolved.Version); ok {
		return artifacts, nil
	}
	tools, err := s.toolchain(ctx)
	if err != nil {
		return Artifacts{}, fmt.Errorf("building Kubernetes %s (the cache lacks %s; berth release import brings it): %w",
			resolved.Version, strings.Join(s.Missing(resolved.Version), ", "), err)
	}
	all := parts(resolved.Version)
	if err := s.buildParts(ctx, all, tools, tell); err != nil {
		return Artifacts{}, fmt.Errorf("building Kubernetes %s: %w", resolved.Version, err)
	}
	return s.assemble(resolved.Version, tools.version)
}

// buildParts builds those that the cache lacks.
func (s *Store) buildParts(ctx context.Context, all []part, tools toolchain, tell func(Progress)) error {
	entries := newEntries(all, tools.version)
	var missing []part
	for _, part := range all {
		if !s.present(entries.name(part.name)) {
			missing = append(missing, part)
		}
	}
	report := newReporter(tell, len(missing))
	if packages := missingPackages(missing); len(packages) > 0 {
		report = newReporter(tell, len(missing)+1)
		if err := s.installPackages(ctx, packages, report); err != nil {
			return err
		}
	}
	low := newPriority(cgroupRoot)
	defer low.close()
	builder := builder{store: s, entries: entries, report: report, runner: runner{toolchain: tools, priority: low}}
	for _, part := range missing {
		if err := builder.ensure(ctx, part); err != nil {
			return fmt.Errorf("building %s: %w", part.title(), err)
		}
	}
	return nil
}

// builder builds the parts of one release.
type builder struct {
	store   *Store
	entries entries
	report  *reporter
	runner  runner
}

// ensure builds one part unless another process has done so meanwhile.
func (b builder) ensure(ctx context.Context, part part) error {
	entry := b.entries.name(part.name)
	b.report.step(part.title())
	stop := b.report.keepTicking()
	defer stop()
	held, err := acquireLock(ctx, b.store.path("locks", entry), b.report.waiting)
	if err != nil {
		return err
	}
	defer held.release()
	if b.store.present(entry) {
		return nil
	}
	b.report.building(held.publish)
	defer b.report.building(nil)
	return b.build(ctx, part, entry, held)
}

// build runs the recipe in a directory of its own and publishes the result
// under the entry's name. A crash before the rename leaves only a directory
// that the next build of the part removes.
func (b builder) build(ctx context.Context, part part, entry string, held *lock) error {
	started := time.Now()
	work := b.store.path("work", entry)
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("removing what an earlier build left: %w", err)
	}
	defer os.RemoveAll(work)
	job := job{source: filepath.Join(work, "source"), output: filepath.Join(work, "output"), inputs: map[string]string{}, report: b.report}
	for _, need := range part.needs {
		job.inputs[need] = b.store.path("parts", b.entries.name(need))
	}
	if err := writeSources(job.source, part.recipe.sources()); err != nil {
		return err
	}
	if err := os.MkdirAll(job.output, 0o755); err != nil {
		return err
	}
	log, err := b.store.openLog(part.name)
	if err != nil {
		return err
	}
	defer log.Close()
	job.run = b.runner
	job.run.log, job.run.lock = log, held.file
	if err := part.recipe.build(ctx, job); err != nil {
		return err
	}
	about := manifest{Name: part.name, Version: part.version, Built: time.Now().UTC(), Seconds: time.Since(started).Seconds()}
	if part.recipe.usesGo() {
		about.GoVersion = b.entries.goVersion
	}
	b.report.detail("storing")
	return publish(job.output, b.store.path("parts", entry), about)
}

// publish makes the finished directory an entry of the cache, in one step.
func publish(output, entry string, about manifest) error {
	if err := openModes(output); err != nil {
		return fmt.Errorf("opening the modes of %s: %w", output, err)
	}
	if err := about.seal(output); err != nil {
		return fmt.Errorf("sealing %s: %w", output, err)
	}
	return place(output, entry)
}

// place moves a whole directory, forced to the disk, to where an entry of the cache is.
func place(output, entry string) error {
	parent := filepath.Dir(entry)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	// An entry that is there and not whole was damaged from outside.
	if err := setAside(entry); err != nil {
		return err
	}
	if err := os.Rename(output, entry); err != nil {
		return fmt.Errorf("publishing %s: %w", entry, err)
	}
	return syncDir(parent)
}

// writeSources lays the embedded files out below dir.
func writeSources(dir string, names []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		content, err := readSource(name)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, fs.FileMode(0o644)); err != nil {
			return fmt.Errorf("writing what is built: %w", err)
		}
	}
	return nil
}

// keepTicking reports every second until stop is called, so that the time runs
// on while the linker is silent.
func (r *reporter) keepTicking() (stop func()) {
	ended := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				r.tick()
			}
		}
	})
	return func() {
		close(ended)
		ticking.Wait()
	}
}
