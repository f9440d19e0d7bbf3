package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
	"sigs.k8s.io/controller-runtime/pkg/event"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/supervise"
)

// statusWatch turns a supervisor's writes of its status file into events, so
// that a component that dies is seen at once and not at the next resync. It
// uses one inotify instance for all control planes, because a host has few.
// Where there is none to be had the resync has to do.
type statusWatch struct {
	events chan event.TypedGenericEvent[*containerservice.ControlPlane]

	mu      sync.Mutex
	watcher *fsnotify.Watcher
	names   map[string]string // object name by directory
}

func newStatusWatch() *statusWatch {
	return &statusWatch{
		events: make(chan event.TypedGenericEvent[*containerservice.ControlPlane], 64),
		names:  map[string]string{},
	}
}

// Follow watches a supervisor's directory for an object. It is called again
// and again; a directory that is not there yet is left for the next call.
func (w *statusWatch) Follow(dir, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watcher == nil || w.names[dir] == name {
		return
	}
	if err := w.watcher.Add(dir); err == nil {
		w.names[dir] = name
	}
}

// Forget ends the watch of a directory.
func (w *statusWatch) Forget(dir string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, followed := w.names[dir]; followed && w.watcher != nil {
		_ = w.watcher.Remove(dir) // the directory may be gone, and the watch with it
	}
	delete(w.names, dir)
}

// Start passes events on until the context ends.
func (w *statusWatch) Start(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		<-ctx.Done() // no inotify instance left: the preflight said so
		return nil
	}
	defer watcher.Close()
	w.mu.Lock()
	w.watcher = watcher
	w.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-watcher.Errors:
			return fmt.Errorf("watching supervisors: %w", err)
		case changed := <-watcher.Events:
			if filepath.Base(changed.Name) != supervise.StatusFile {
				continue
			}
			w.send(ctx, filepath.Dir(changed.Name))
		}
	}
}

func (w *statusWatch) send(ctx context.Context, dir string) {
	w.mu.Lock()
	name, followed := w.names[dir]
	w.mu.Unlock()
	if !followed {
		return
	}
	object := &containerservice.ControlPlane{}
	object.Name = name
	select {
	case w.events <- event.TypedGenericEvent[*containerservice.ControlPlane]{Object: object}:
	case <-ctx.Done():
	}
}
