package agent

import (
	"context"
	"fmt"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/release"
)

// The reasons of the condition ReleaseReady while it is not true.
const (
	reasonBuilding    = "Building"
	reasonBuildFailed = "BuildFailed"
)

// builds builds releases in the background, one at a time. It is a Runnable of
// the manager, which starts and stops it.
type builds struct {
	releases Releases
	wake     chan struct{}

	mu     sync.Mutex
	queue  []string
	status map[string]condition.Outcome
}

func newBuilds(releases Releases) *builds {
	return &builds{releases: releases, wake: make(chan struct{}, 1), status: map[string]condition.Outcome{}}
}

// Ensure returns the artifacts of a version, or asks for its build and says how it stands.
func (b *builds) Ensure(version string) (release.Artifacts, condition.Outcome) {
	if artifacts, ok := b.releases.Lookup(version); ok {
		return artifacts, condition.True("Kubernetes " + version + " is built")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	outcome, asked := b.status[version]
	if !asked || outcome.Reason == reasonBuildFailed {
		b.queue = append(b.queue, version)
		waiting := condition.Outcome{Reason: reasonBuilding, Message: "the build of Kubernetes " + version + " is about to start"}
		b.status[version] = waiting
		select {
		case b.wake <- struct{}{}:
		default: // it is awake already
		}
		if !asked {
			outcome = waiting
		}
	}
	return release.Artifacts{}, outcome
}

// Start builds what is asked for until the context ends.
func (b *builds) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.wake:
		}
		for version, ok := b.next(); ok; version, ok = b.next() {
			b.build(ctx, version)
		}
	}
}

func (b *builds) next() (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return "", false
	}
	version := b.queue[0]
	b.queue = b.queue[1:]
	return version, true
}

func (b *builds) build(ctx context.Context, version string) {
	logger := log.FromContext(ctx).WithValues("kubernetesVersion", version)
	logger.Info("building a release")
	_, err := b.releases.Build(ctx, version, func(p release.Progress) {
		b.say(version, condition.Outcome{Reason: reasonBuilding, Message: Describe(p)})
	})
	if err != nil {
		logger.Error(err, "building a release")
		b.say(version, condition.Outcome{Reason: reasonBuildFailed, Message: err.Error()})
		return
	}
	logger.Info("built a release")
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.status, version)
}

func (b *builds) say(version string, outcome condition.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status[version] = outcome
}

// Describe says in one line how far a build is.
func Describe(p release.Progress) string {
	text := fmt.Sprintf("building %s (%d of %d)", p.Step, p.StepIndex, p.Steps)
	if p.Waiting {
		text = fmt.Sprintf("waiting for another build of %s (%d of %d)", p.Step, p.StepIndex, p.Steps)
	}
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.Total > 0 {
		text += fmt.Sprintf(", %d of %d packages", p.Done, p.Total)
	}
	return text + fmt.Sprintf(", %.0f s", p.Elapsed)
}
