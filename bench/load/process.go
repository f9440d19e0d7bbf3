package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// Generate is the generator's process: it reads a plan and writes the result.
// It refuses to work on more than one core.
func Generate(ctx context.Context, in io.Reader, out io.Writer) error {
	var cores unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cores); err != nil {
		return fmt.Errorf("asking for the generator's cores: %w", err)
	}
	if cores.Count() != 1 {
		return fmt.Errorf("the generator has %d cores and may have one", cores.Count())
	}
	var plan Plan
	if err := json.NewDecoder(in).Decode(&plan); err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	result, err := Run(ctx, plan)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// Spawn carries a plan out in a process of its own that has one core, the
// last. command is a program that calls Generate.
func Spawn(ctx context.Context, plan Plan, command ...string) (Result, error) {
	content, err := json.Marshal(plan)
	if err != nil {
		return Result{}, err
	}
	var out bytes.Buffer
	generator := exec.CommandContext(ctx, command[0], command[1:]...)
	generator.Stdin, generator.Stdout, generator.Stderr = bytes.NewReader(content), &out, os.Stderr
	if err := startPinned(generator); err != nil {
		return Result{}, err
	}
	if err := generator.Wait(); err != nil {
		return Result{}, fmt.Errorf("generating load: %w", err)
	}
	var result Result
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		return Result{}, fmt.Errorf("reading what the generator measured: %w", err)
	}
	if result.Failed > 0 {
		return result, fmt.Errorf("%d of %d requests failed, one with %s", result.Failed, result.Failed+result.Completed, result.FirstFailure)
	}
	return result, nil
}

// startPinned starts a process on the last core. It inherits that from the
// thread that starts it, which nothing else ever runs on: it ends with its goroutine.
func startPinned(command *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		var cores unix.CPUSet
		if err := unix.SchedGetaffinity(0, &cores); err != nil {
			started <- fmt.Errorf("asking for this process's cores: %w", err)
			return
		}
		var one unix.CPUSet
		for core, left := 0, cores.Count(); left > 0; core++ {
			if cores.IsSet(core) {
				left--
				one.Zero()
				one.Set(core)
			}
		}
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			started <- errors.Join(errors.New("giving the generator one core"), err)
			return
		}
		started <- command.Start()
	}()
	return <-started
}
