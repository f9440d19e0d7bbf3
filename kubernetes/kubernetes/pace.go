//go:build ignore

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// idlePercent is by how many percent the heap of an idle API server grows until
	// its garbage is collected: it has the time to collect early.
	idlePercent = 7
	// servingPercent is that of one that was idle and is busy. What requests allocate is
	// garbage soon, while what a start allocates lies scattered between what stays of
	// it: until the first idle second it is GOGC.
	servingPercent = 100
	// idleRate is how many bytes an idle one allocates in a second: a busy one
	// allocates more than that even on a share of a slow processor, and collecting
	// early then would take the rest of it.
	idleRate = 1 << 20
	// burst is what it may allocate at once beside that: those that look now and then
	// what there is take less.
	burst = 4 << 20
	// idleAfter is how many seconds it stays busy at most when it allocates nothing:
	// longer than clients that ask now and then wait, since their next requests are
	// slower; giving back what is free, once then, takes a fifth of a second of a core.
	idleAfter = 30
	// idleSlack is how much later than asked the kernel may wake an idle one, so that it
	// does so once for several of the hundreds of timers that run off in a second. A
	// request wakes it at once.
	idleSlack = 25 * time.Millisecond
	// busySlack is what the kernel gives everyone. Where several threads run, Go's
	// scheduler sleeps for microseconds before it takes work from another.
	busySlack = 50 * time.Microsecond
)

// pace looks once a second whether the API server is busy, and sets the percentage,
// the number of processors, since each timer costs less where no second one is woken
// with it, and the slack of timers. What was allocated fills a bucket that leaks at the
// idle rate: idle is who emptied it, busy who filled it above a burst.
func pace() {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	before, level, busy := uint64(0), uint64(0), true
	late := lateThreads{}
	for range time.Tick(time.Second) {
		metrics.Read(sample)
		now := sample[0].Value.Uint64()
		level = min(level+now-before, idleAfter*idleRate)
		level -= min(level, idleRate)
		before = now
		switch {
		case busy && level == 0:
			debug.SetGCPercent(idlePercent)
			debug.FreeOSMemory()
			runtime.GOMAXPROCS(1)
			busy = false
		case !busy && level > burst:
			late.mend()
			runtime.SetDefaultGOMAXPROCS()
			debug.SetGCPercent(servingPercent)
			busy = true
		}
		late.meet(busy)
	}
}

// lateThreads are those of the process, by id, that the kernel may wake late. A thread
// sets its own slack and, without privileges, that of no other.
type lateThreads map[int]bool

// meet sets the slack of the thread that this runs on. While there is one processor, one
// thread does nearly all the work for seconds, so that is the one. A busy one is met here
// if it was made by a late one, whose slack it has then.
func (l lateThreads) meet(busy bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if busy {
		setTimerSlack(busySlack)
		return
	}
	setTimerSlack(idleSlack)
	l[unix.Gettid()] = true
}

// mend lets no thread be late any more, by goroutines that hold a thread each until it
// has found all. Go gives out first the threads that worked last.
func (l lateThreads) mend() {
	found, release := make(chan int), make(chan struct{})
	defer close(release)
	for tries := countThreads(); tries > 0 && len(l) > 0; tries-- {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			setTimerSlack(busySlack)
			found <- unix.Gettid()
			<-release
		}()
		delete(l, <-found)
	}
}

// setTimerSlack sets the slack of the thread that it is called on. The kernel takes any length.
func setTimerSlack(slack time.Duration) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0)
}

// countThreads is 0 where the kernel does not tell.
func countThreads() int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0
	}
	return len(tasks)
}
