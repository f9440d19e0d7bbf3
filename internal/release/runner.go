package release

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// killDelay is how long a cancelled command has to end by itself.
const killDelay = 5 * time.Second

// runner runs the commands of one step: at low priority, with their output in
// the step's log, and ended as a whole when the context ends.
type runner struct {
	toolchain toolchain
	priority  priority
	// log gets everything. It is a file, so that a command writes to it itself.
	log *os.File
	// lock is inherited by the command, so that it stays held until the last
	// process of a killed builder has ended.
	lock *os.File
}

// run runs the command to its end and passes each line of its standard error on.
func (r runner) run(ctx context.Context, command *exec.Cmd, line func(string)) error {
	fmt.Fprintf(r.log, "+ (cd %s) %s\n", command.Dir, strings.Join(command.Args, " "))
	if command.Env == nil {
		command.Env = replaceEnvironment(os.Environ(), map[string]string{"PATH": completePath(""), "LC_ALL": "C.UTF-8"})
	}
	if command.Err != nil { // not in this process's PATH, which may be bare
		if command.Path, command.Err = findProgram(command.Args[0]); command.Err != nil {
			return command.Err
		}
	}
	if command.Stdout == nil {
		command.Stdout = r.log
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if r.lock != nil {
		command.ExtraFiles = []*os.File{r.lock}
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	command.Stderr = writer
	if err := r.priority.start(command); err != nil {
		reader.Close()
		writer.Close()
		return err
	}
	writer.Close()
	last := &tail{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		scan(reader, r.log, func(text string) {
			last.add(text)
			if line != nil {
				line(text)
			}
		})
		reader.Close()
	}()
	err = r.wait(ctx, command, read)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("running %s: %w\n%s(all of it is in %s)", command.Args[0], err, last, r.log.Name())
	}
	return nil
}

// wait waits for the end of the command and of its output. When the context
// ends first, the command's whole process group gets a signal to end, and a
// while later one that it cannot refuse.
func (r runner) wait(ctx context.Context, command *exec.Cmd, read <-chan struct{}) error {
	ended := make(chan struct{})
	var stopping sync.WaitGroup
	stopping.Go(func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(killDelay):
			_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		}
	})
	<-read
	err := command.Wait()
	close(ended)
	stopping.Wait()
	return err
}

// scan copies lines to the log and passes each on.
func scan(from io.Reader, log io.Writer, line func(string)) {
	reader := bufio.NewReader(from)
	for {
		text, err := reader.ReadString('\n')
		if text != "" {
			_, _ = io.WriteString(log, text)
			line(strings.TrimRight(text, "\r\n"))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintf(log, "reading the output: %v\n", err)
			}
			return
		}
	}
}

// tail keeps the last lines of an output for an error message.
type tail struct{ lines []string }

const tailLines = 15

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string {
	if len(t.lines) == 0 {
		return ""
	}
	return strings.Join(t.lines, "\n") + "\n"
}
