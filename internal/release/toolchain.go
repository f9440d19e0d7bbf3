package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// ErrNoToolchain says that there is no Go to build with.
var ErrNoToolchain = errors.New("found no go command in PATH or /usr/local/go/bin: install Go")

// toolchain is the Go that builds.
type toolchain struct {
	program string
	// version is what go env GOVERSION says, e.g. go1.26.1.
	version string
}

// findToolchain looks where a shell would and where Go's own installer puts it,
// because a daemon's PATH is often bare.
func findToolchain(ctx context.Context) (toolchain, error) {
	program, err := exec.LookPath("go")
	if err != nil {
		program = "/usr/local/go/bin/go"
		if _, err := os.Stat(program); err != nil {
			return toolchain{}, ErrNoToolchain
		}
	}
	found := toolchain{program: program}
	command := exec.CommandContext(ctx, program, "env", "GOVERSION")
	command.Env = found.environment(false)
	command.Dir = "/"
	output, err := command.Output()
	if err != nil {
		return toolchain{}, fmt.Errorf("asking %s for its version: %w", program, err)
	}
	found.version = strings.TrimSpace(string(output))
	return found, nil
}

// environment is the caller's, completed where a daemon's is bare, with
// everything fixed that could change what is built. Where modules come from and
// how they are verified stays the user's choice.
func (t toolchain) environment(cgo bool) []string {
	enabled := "0"
	if cgo {
		enabled = "1"
	}
	return replaceEnvironment(os.Environ(), map[string]string{
		"HOME":        homeDir(),
		"PATH":        completePath(filepath.Dir(t.program)),
		"CGO_ENABLED": enabled,
		"GOFLAGS":     "-mod=readonly",
		"GOTOOLCHAIN": "local",
		"GOWORK":      "off",
		"GO111MODULE": "on",
		"GOOS":        runtime.GOOS,
		"GOARCH":      runtime.GOARCH,
		"CGO_CFLAGS":  "-O2 -g",
		"CGO_LDFLAGS": "-O2 -g",
		"LC_ALL":      "C.UTF-8",
	})
}

// homeDir is the user's home, also where the environment does not say.
func homeDir() string {
	if home := os.Getenv("HOME"); home != "" {
		return home
	}
	if current, err := user.Current(); err == nil {
		return current.HomeDir
	}
	return "/"
}

// replaceEnvironment sets variables, each once.
func replaceEnvironment(environment []string, values map[string]string) []string {
	kept := slices.DeleteFunc(slices.Clone(environment), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, replaced := values[name]
		return replaced
	})
	for name, value := range values {
		kept = append(kept, name+"="+value)
	}
	return kept
}

// completePath is PATH with first in front and the system's directories in it.
func completePath(first string) string {
	directories := []string{}
	if first != "" {
		directories = append(directories, first)
	}
	directories = append(directories, filepath.SplitList(os.Getenv("PATH"))...)
	for _, directory := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if !slices.Contains(directories, directory) {
			directories = append(directories, directory)
		}
	}
	return strings.Join(directories, string(filepath.ListSeparator))
}

// goCommand is one go build.
type goCommand struct {
	dir           string
	packages      []string
	tags, ldflags string
	cgo           bool
	// output is the directory that the programs are written to.
	output string
}

func (c goCommand) flags() []string {
	return []string{"-trimpath", "-buildvcs=false", "-tags=" + c.tags, "-ldflags=" + strings.TrimSpace("-s -w "+c.ldflags)}
}

// run builds, and reports how many packages of how many are compiled: go list
// says which the build cache lacks, go build -v names each as it comes.
func (c goCommand) run(ctx context.Context, job job) error {
	job.report.detail("finding out what is left to compile")
	stale, total, err := c.stale(ctx, job)
	if err != nil {
		return err
	}
	counter := &packageCounter{stale: stale, total: total, report: job.report}
	counter.publish()
	build := c.command(job, append(append([]string{"build", "-v", "-o", c.output + "/"}, c.flags()...), c.packages...))
	if err := os.MkdirAll(c.output, 0o755); err != nil {
		return err
	}
	return job.run.run(ctx, build, counter.line)
}

// stale lists the packages that the build cache lacks, and counts all.
func (c goCommand) stale(ctx context.Context, job job) (map[string]bool, int, error) {
	list := c.command(job, append(append([]string{"list", "-deps", "-f", "{{.Stale}} {{.ImportPath}}"}, c.flags()...), c.packages...))
	var output bytes.Buffer
	list.Stdout = &output
	if err := job.run.run(ctx, list, job.report.downloading); err != nil {
		return nil, 0, err
	}
	stale, total := parseStale(output.String())
	return stale, total, nil
}

func (c goCommand) command(job job, arguments []string) *exec.Cmd {
	command := exec.Command(job.run.toolchain.program, arguments...)
	command.Dir = c.dir
	command.Env = job.run.toolchain.environment(c.cgo)
	return command
}

// parseStale reads lines of "true|false IMPORTPATH".
func parseStale(output string) (stale map[string]bool, total int) {
	stale = map[string]bool{}
	for line := range strings.Lines(output) {
		flag, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		total++
		if flag == "true" {
			stale[name] = true
		}
	}
	return stale, total
}

// packageCounter turns the lines of go build -v into progress.
type packageCounter struct {
	stale  map[string]bool
	total  int
	report *reporter
}

func (c *packageCounter) line(line string) {
	if !c.stale[line] {
		c.report.downloading(line)
		return
	}
	delete(c.stale, line)
	c.publish()
}

func (c *packageCounter) publish() {
	c.report.packages(c.total-len(c.stale), c.total)
}
