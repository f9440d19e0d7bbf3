package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test start itself as a process that hangs after the first signal.
func TestMain(m *testing.M) {
	if os.Getenv("BERTH_TEST_HANG") == "" {
		os.Exit(m.Run())
	}
	ctx, stop := listen(context.Background())
	defer stop()
	fmt.Println("listening")
	<-ctx.Done()
	fmt.Println("canceled")
	time.Sleep(time.Minute) // what a command that does not heed its context does
	os.Exit(1)
}

func TestTheFirstInterruptCancelsAndTheSecondEndsTheProcessAtOnce(t *testing.T) {
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), "BERTH_TEST_HANG=1")
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	expect := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("got %q, %v, want %q", lines.Text(), lines.Err(), want)
		}
	}
	expect("listening")
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	expect("canceled")
	// The listener is taken off a moment after the context is canceled: ask again until it is.
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
				t.Errorf("it ended with %v", err)
			}
			return
		case <-timeout:
			t.Fatal("it goes on after the second interrupt")
		case <-tick.C:
			if err := command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
	}
}
