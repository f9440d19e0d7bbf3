package process

import (
	"testing"
	"time"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/supervise"
)

// board is a host with control planes that run what they were last told.
type board struct {
	t       *testing.T
	now     time.Time
	runtime *Runtime
}

func newBoard(t *testing.T) *board {
	b := &board{t: t, now: time.Unix(0, 0)}
	b.runtime = &Runtime{turns: newTurns(func() time.Time { return b.now }, changesAtOnce)}
	return b
}

func running(flag string) []supervise.Component {
	return []supervise.Component{{Name: controlplane.APIServer, Command: []string{"kube-apiserver", flag}}}
}

// look is one look at a control plane that is to run with a new flag. It says
// whether it was told so.
func (b *board) look(id, has string, outdated bool) bool {
	status := supervise.Status{PID: 1, Components: []supervise.ComponentStatus{{Name: controlplane.APIServer, PID: 2, Outdated: outdated}}}
	told := b.runtime.inTurn(controlplane.Desired{ID: id}, supervise.Spec{Components: running(has)}, running("new"), status)
	return told[0].Command[1] == "new"
}

func TestControlPlanesChangeAFewAtATime(t *testing.T) {
	b := newBoard(t)
	if !b.look("a", "old", false) || !b.look("b", "old", false) {
		t.Fatal("the first two wait")
	}
	if b.look("c", "old", false) || !b.runtime.turns.waits("c") {
		t.Fatal("the third does not wait")
	}
	// Their supervisors have not looked yet: that is no end.
	b.look("a", "new", false)
	if b.look("c", "old", false) {
		t.Fatal("the third goes on while the first two begin")
	}
	b.now = b.now.Add(turnSettles)
	b.look("a", "new", true)
	b.look("b", "new", true)
	if b.look("c", "old", false) {
		t.Fatal("the third goes on beside two that change")
	}
	b.look("a", "new", false)
	if !b.look("c", "old", false) || b.runtime.turns.waits("c") {
		t.Error("the third waits although one has ended")
	}
}

func TestAControlPlaneThatCannotChangeKeepsNobodyWaitingForLong(t *testing.T) {
	b := newBoard(t)
	b.look("a", "old", false)
	b.look("b", "old", false)
	b.now = b.now.Add(turnLasts)
	b.look("a", "new", true)
	b.look("b", "new", true)
	if !b.look("c", "old", false) {
		t.Error("the third waits")
	}
}

func TestAChangeThatIsUnderWayGoesOnAfterARestart(t *testing.T) {
	b := newBoard(t)
	for _, id := range []string{"a", "b", "c"} { // begun by a process that was killed
		if !b.look(id, "new", true) {
			t.Errorf("%s waits in the middle of its change", id)
		}
	}
	if b.look("d", "old", false) {
		t.Error("another one begins beside three")
	}
}

func TestAControlPlaneThatDoesNotRunWaitsForNobody(t *testing.T) {
	b := newBoard(t)
	b.look("a", "old", false)
	b.look("b", "old", false)
	told := b.runtime.inTurn(controlplane.Desired{ID: "c"}, supervise.Spec{}, running("new"), supervise.Status{})
	if len(told) != 1 || told[0].Command[1] != "new" {
		t.Errorf("it is told %v", told)
	}
}

func TestAFewControlPlanesStartAtATime(t *testing.T) {
	b := newBoard(t)
	b.runtime.starts = newTurns(func() time.Time { return b.now }, startsAtOnce(1))
	may := func(id string, lives bool) bool { return b.runtime.mayStart(controlplane.Desired{ID: id}, lives) }
	if !may("a", false) || !may("b", false) {
		t.Fatal("the first two wait")
	}
	if may("c", false) || !may("a", true) || !may("old", true) {
		t.Fatal("the third starts beside two, or one that runs waits")
	}
	b.now = b.now.Add(turnSettles)
	b.runtime.starts.end("a") // it is ready
	if !may("c", false) || may("d", false) {
		t.Error("not exactly one more starts in the place of one that is ready")
	}
	b.now = b.now.Add(turnLasts)
	if !may("d", false) {
		t.Error("those that never become ready keep the others waiting for ever")
	}
}

func TestAControlPlaneWhoseDataAreReplacedWaitsForNobody(t *testing.T) {
	b := newBoard(t)
	b.runtime.starts = newTurns(func() time.Time { return b.now }, 1)
	b.runtime.mayStart(controlplane.Desired{ID: "a"}, false)
	if !b.runtime.mayStart(controlplane.Desired{ID: "b", DatastoreOnly: true}, false) {
		t.Error("its restore waits")
	}
}
