package release

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeRecipe is a recipe whose work is a function.
type fakeRecipe struct {
	Input string
	work  func(ctx context.Context, job job) error
}

func (fakeRecipe) sources() []string         { return nil }
func (fakeRecipe) usesGo() bool              { return false }
func (fakeRecipe) packages() []debianPackage { return nil }
func (f fakeRecipe) build(ctx context.Context, job job) error {
	return f.work(ctx, job)
}

// writes is work that leaves one program.
func writes(name, content string) func(context.Context, job) error {
	return func(_ context.Context, job job) error {
		dir := filepath.Join(job.output, binDir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700)
	}
}

func newStore(t *testing.T) *Store {
	t.Helper()
	store, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func newBuilder(store *Store, parts []part, tell func(Progress)) builder {
	return builder{store: store, entries: newEntries(parts, "go1.0"), report: newReporter(tell, len(parts))}
}

func TestAPartIsBuiltOnceAndFoundAfterwards(t *testing.T) {
	store, runs := newStore(t), 0
	thing := part{name: "thing", version: "v1", recipe: fakeRecipe{work: func(ctx context.Context, job job) error {
		runs++
		return writes("thing", "content")(ctx, job)
	}}}
	builder := newBuilder(store, []part{thing}, nil)
	for range 2 {
		if err := builder.ensure(t.Context(), thing); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 1 {
		t.Errorf("the part was built %d times, want once", runs)
	}
	program := store.path("parts", builder.entries.name("thing"), binDir, "thing")
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o755 {
		t.Errorf("the program has mode %v: other users cannot run it", info.Mode())
	}
	if left, _ := os.ReadDir(store.path("work")); len(left) != 0 {
		t.Errorf("the build left %v", left)
	}
}

func TestABuildThatFailsPublishesNothingAndTheNextStartsClean(t *testing.T) {
	store := newStore(t)
	work := func(_ context.Context, job job) error {
		if err := os.WriteFile(filepath.Join(job.output, "half"), nil, 0o644); err != nil {
			return err
		}
		return errors.New("the compiler ran out of patience")
	}
	thing := part{name: "thing", recipe: fakeRecipe{work: work}}
	builder := newBuilder(store, []part{thing}, nil)
	if err := builder.ensure(t.Context(), thing); err == nil || !strings.Contains(err.Error(), "patience") {
		t.Fatalf("the build ended with %v", err)
	}
	if store.present(builder.entries.name("thing")) {
		t.Fatal("a failed build was published")
	}
	// What a killed builder leaves, which had no chance to clean up:
	leftover := store.path("work", builder.entries.name("thing"), "output", "half")
	if err := os.MkdirAll(leftover, 0o755); err != nil {
		t.Fatal(err)
	}
	thing.recipe = fakeRecipe{work: writes("thing", "content")}
	if err := builder.ensure(t.Context(), thing); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(store.path("parts", builder.entries.name("thing"), "half")); !os.IsNotExist(err) {
		t.Errorf("what the killed build left was published: %v", err)
	}
}

func TestADamagedEntryIsBuiltAgain(t *testing.T) {
	store := newStore(t)
	thing := part{name: "thing", recipe: fakeRecipe{work: writes("thing", "content")}}
	builder := newBuilder(store, []part{thing}, nil)
	if err := builder.ensure(t.Context(), thing); err != nil {
		t.Fatal(err)
	}
	entry := builder.entries.name("thing")
	for _, damage := range []func(program string) error{
		os.Remove,
		func(program string) error { return os.Truncate(program, 3) },
		func(string) error { return os.Remove(store.path("parts", entry, manifestFile)) },
		func(program string) error { return os.WriteFile(program, []byte("c0ntent"), 0o755) }, // of the same size
	} {
		if err := damage(store.path("parts", entry, binDir, "thing")); err != nil {
			t.Fatal(err)
		}
		if store.present(entry) {
			t.Error("a damaged entry is taken for whole")
		}
		if err := builder.ensure(t.Context(), thing); err != nil {
			t.Fatal(err)
		}
		if !store.present(entry) {
			t.Error("the damaged entry was not built again")
		}
	}
}

func TestAFlippedByteIsFoundBeforeUseNamedAndSetAside(t *testing.T) {
	store := newStore(t)
	thing := part{name: "thing", recipe: fakeRecipe{work: writes("thing", "content")}}
	builder := newBuilder(store, []part{thing}, nil)
	if err := builder.ensure(t.Context(), thing); err != nil {
		t.Fatal(err)
	}
	entry := builder.entries.name("thing")
	if err := store.inspect(entry); err != nil {
		t.Fatal(err)
	}
	program := store.path("parts", entry, binDir, "thing")
	if err := os.WriteFile(program, []byte("c0ntent"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, looks := range []*Store{store, {options: store.options}} { // that saw it whole, and a new one that finds the stamp
		if err := looks.inspect(entry); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "bin/thing is not as it was built") {
			t.Errorf("the damaged entry: %v", err)
		}
	}
	if err := builder.ensure(t.Context(), thing); err != nil {
		t.Fatal(err)
	}
	aside, err := filepath.Glob(store.path(damagedDir, entry+"-*", binDir, "thing"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %v, %v", aside, err)
	}
	if content, err := os.ReadFile(aside[0]); err != nil || string(content) != "c0ntent" {
		t.Errorf("what was set aside is %q, %v", content, err)
	}
}

func TestTwoBuildersOfOnePartBuildItOnceAndTheSecondSeesTheFirstsProgress(t *testing.T) {
	store := newStore(t)
	started, finish, runs := make(chan struct{}), make(chan struct{}), 0
	thing := part{name: "thing", recipe: fakeRecipe{work: func(ctx context.Context, job job) error {
		runs++
		job.report.packages(3, 7)
		close(started)
		<-finish
		return writes("thing", "content")(ctx, job)
	}}}
	first := newBuilder(store, []part{thing}, nil)
	first.report.now = everLater()
	var waited []Progress
	saw := make(chan struct{})
	seen := sync.OnceFunc(func() { close(saw) })
	second := newBuilder(store, []part{thing}, func(p Progress) {
		waited = append(waited, p)
		if p.Waiting && p.Done == 3 && p.Total == 7 {
			seen()
		}
	})
	var building sync.WaitGroup
	building.Go(func() {
		if err := first.ensure(t.Context(), thing); err != nil {
			t.Error(err)
		}
	})
	<-started
	building.Go(func() {
		if err := second.ensure(t.Context(), thing); err != nil {
			t.Error(err)
		}
	})
	<-saw
	close(finish)
	building.Wait()
	if runs != 1 {
		t.Errorf("the part was built %d times", runs)
	}
	if !slices.ContainsFunc(waited, func(p Progress) bool { return p.Waiting }) {
		t.Error("the second builder never said that it waits")
	}
}

func TestWaitingForAnotherBuilderEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := acquireLock(t.Context(), path, func(Progress) { t.Error("waited for a free lock") })
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := acquireLock(ctx, path, func(Progress) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting ended with %v", err)
	}
}

func TestAPartReadsThePartsThatItNeeds(t *testing.T) {
	store := newStore(t)
	base := part{name: "base", recipe: fakeRecipe{work: writes("base", "from below")}}
	top := part{name: "top", needs: []string{"base"}, recipe: fakeRecipe{work: func(ctx context.Context, job job) error {
		content, err := os.ReadFile(filepath.Join(job.inputs["base"], binDir, "base"))
		if err != nil {
			return err
		}
		return writes("top", string(content))(ctx, job)
	}}}
	builder := newBuilder(store, []part{base, top}, nil)
	for _, part := range []part{base, top} {
		if err := builder.ensure(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(store.path("parts", builder.entries.name("top"), binDir, "top"))
	if err != nil || string(content) != "from below" {
		t.Errorf("the upper part holds %q, %v", content, err)
	}
}
