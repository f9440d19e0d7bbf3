package release

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	"berth.dev/berth/kubernetes"
)

// goModule builds main packages of a pinned module.
type goModule struct {
	// Module is the module's files in kubernetes.Sources without their endings, e.g. etcd/v3.6.8.
	Module   string
	Programs []program
	// Tags and LDFlags go to the compiler and the linker.
	Tags    string
	LDFlags string
	// CGO is true for a program that has C in it; everything else is pure Go.
	CGO bool
}

func (g goModule) sources() []string {
	files := []string{g.Module + ".mod", g.Module + ".sum"}
	for _, program := range g.Programs {
		if program.Package == mainFile {
			files = append(files, ownFiles(path.Dir(g.Module))...)
		}
	}
	return files
}

func (g goModule) usesGo() bool { return true }

func (g goModule) packages() []debianPackage {
	if !g.CGO {
		return nil
	}
	return []debianPackage{packageCompiler, packageLibc, packagePkgConfig, packageSeccomp}
}

func (g goModule) build(ctx context.Context, job job) error {
	dir, err := layModule(job, g.Module)
	if err != nil {
		return err
	}
	binaries := filepath.Join(job.output, binDir)
	for _, packages := range g.builds() {
		command := goCommand{dir: dir, packages: packages, tags: g.Tags, ldflags: g.LDFlags, cgo: g.CGO, output: binaries}
		if err := command.run(ctx, job); err != nil {
			return err
		}
	}
	return nameBinaries(binaries, g.Programs)
}

// builds are the packages of each run of go build, which takes a file or import paths, not both.
func (g goModule) builds() [][]string {
	var own, upstream []string
	for _, program := range g.Programs {
		if program.Package == mainFile {
			for _, file := range ownFiles(path.Dir(g.Module)) {
				own = append(own, path.Base(file))
			}
		} else {
			upstream = append(upstream, program.Package)
		}
	}
	return slices.DeleteFunc([][]string{upstream, own}, func(packages []string) bool { return len(packages) == 0 })
}

// layModule gives the module's files the names that the go command reads, and
// returns their directory.
func layModule(job job, name string) (dir string, err error) {
	module := filepath.Join(job.source, name)
	dir = filepath.Dir(module)
	for _, ending := range []string{".mod", ".sum"} {
		if err := os.Rename(module+ending, filepath.Join(dir, "go"+ending)); err != nil {
			return "", fmt.Errorf("naming the module's files: %w", err)
		}
	}
	return dir, nil
}

// nameBinaries gives what go build wrote into dir the programs' own names. A
// multi-call binary gets a hard link for each, so that every name is a whole
// program wherever it is copied or mounted.
func nameBinaries(dir string, programs []program) error {
	for index, program := range programs {
		built := filepath.Join(dir, builtName(program.Package))
		if err := os.Rename(built, filepath.Join(dir, fmt.Sprintf(".%d", index))); err != nil {
			return fmt.Errorf("naming %s: %w", program.Names[0], err)
		}
	}
	for index, program := range programs {
		built := filepath.Join(dir, fmt.Sprintf(".%d", index))
		for _, name := range program.Names {
			if err := os.Link(built, filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("naming %s: %w", name, err)
			}
		}
		if err := os.Remove(built); err != nil {
			return fmt.Errorf("naming %s: %w", program.Names[0], err)
		}
	}
	return nil
}

const mainFile = "main.go"

// ownFiles are the Go files of a directory in kubernetes.Sources, main.go first, which
// go build names the program for.
func ownFiles(dir string) []string {
	files := []string{path.Join(dir, mainFile)}
	entries, err := fs.ReadDir(kubernetes.Sources, dir)
	if err != nil {
		panic(err) // it is embedded
	}
	for _, entry := range entries {
		if name := entry.Name(); path.Ext(name) == ".go" && name != mainFile {
			files = append(files, path.Join(dir, name))
		}
	}
	return files
}

// builtName is the name that go build gives to a package's program: the last
// element of its path that is no major version.
func builtName(importPath string) string {
	if importPath == mainFile {
		return "main"
	}
	if regexp.MustCompile(`/v[0-9]+$`).MatchString(importPath) {
		importPath = path.Dir(importPath)
	}
	return path.Base(importPath)
}

// goSources builds Berth's own small programs, which use the standard library alone.
type goSources struct {
	// Programs are their directories in kubernetes.Sources.
	Programs []string
}

func (g goSources) sources() []string {
	var files []string
	for _, name := range g.Programs {
		files = append(files, path.Join(name, mainFile))
	}
	return files
}

func (g goSources) usesGo() bool              { return true }
func (g goSources) packages() []debianPackage { return nil }

func (g goSources) build(ctx context.Context, job job) error {
	for _, name := range g.Programs {
		dir := filepath.Join(job.source, name)
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+name+"\n\ngo 1.26.0\n"), 0o644); err != nil {
			return fmt.Errorf("writing the module of %s: %w", name, err)
		}
		command := goCommand{dir: dir, packages: []string{"."}, output: filepath.Join(job.output, binDir)}
		if err := command.run(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// cProgram builds one C file into a static program.
type cProgram struct {
	// Source is its path in kubernetes.Sources.
	Source string
	Name   string
}

func (c cProgram) sources() []string { return []string{c.Source} }
func (c cProgram) usesGo() bool      { return false }

func (c cProgram) packages() []debianPackage {
	return []debianPackage{packageCompiler, packageLibc}
}

func (c cProgram) build(ctx context.Context, job job) error {
	binaries := filepath.Join(job.output, binDir)
	if err := os.MkdirAll(binaries, 0o755); err != nil {
		return err
	}
	command := exec.Command("gcc", "-Os", "-Wall", "-static", "-s", "-o", filepath.Join(binaries, c.Name), c.Source)
	command.Dir = job.source
	return job.run.run(ctx, command, nil)
}
