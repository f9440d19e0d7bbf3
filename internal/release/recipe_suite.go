package release

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// testSuite builds a test binary of a pinned module, with programs and files of
// the same module that the tests need.
type testSuite struct {
	// Module is as in goModule.
	Module string
	// Tests is the import path of the package whose tests are built.
	Tests string
	// Programs are import paths of main packages.
	Programs []string
	// Files are directories of Tests' module; each is copied under its own path.
	Files   []string
	LDFlags string
}

const (
	// testsProgram is upstream's name of the test binary.
	testsProgram = "e2e.test"
	filesDir     = "files"
)

func (t testSuite) sources() []string         { return goModule{Module: t.Module}.sources() }
func (t testSuite) usesGo() bool              { return true }
func (t testSuite) packages() []debianPackage { return nil }

func (t testSuite) build(ctx context.Context, job job) error {
	dir, err := layModule(job, t.Module)
	if err != nil {
		return err
	}
	binaries := filepath.Join(job.output, binDir)
	programs := goCommand{dir: dir, ldflags: t.LDFlags, output: binaries, packages: t.Programs}
	if err := programs.run(ctx, job); err != nil {
		return err
	}
	tests := goCommand{dir: dir, ldflags: t.LDFlags, packages: []string{t.Tests}}
	job.report.detail("compiling the tests")
	// Vetting upstream's packages takes minutes, and is upstream's.
	arguments := append([]string{"test", "-c", "-vet=off", "-o", filepath.Join(binaries, testsProgram)}, tests.flags()...)
	if err := job.run.run(ctx, tests.command(job, append(arguments, t.Tests)), nil); err != nil {
		return err
	}
	return t.copyFiles(ctx, job, tests)
}

// copyFiles copies the directories out of the module that the tests belong to.
func (t testSuite) copyFiles(ctx context.Context, job job, list goCommand) error {
	var output bytes.Buffer
	command := list.command(job, []string{"list", "-f", "{{.Module.Dir}}", t.Tests})
	command.Stdout = &output
	if err := job.run.run(ctx, command, nil); err != nil {
		return err
	}
	module := strings.TrimSpace(output.String())
	for _, dir := range t.Files {
		if err := copyTree(filepath.Join(job.output, filesDir, dir), filepath.Join(module, dir)); err != nil {
			return fmt.Errorf("copying %s: %w", dir, err)
		}
	}
	return nil
}

// copyTree copies the regular files below a directory.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(source string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(from, source)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}

// listImages asks the tests for the images that they may run, and gives those
// that can be built here.
func listImages(ctx context.Context, job job) ([]testImage, error) {
	var output bytes.Buffer
	command := exec.Command(filepath.Join(job.inputs[partSuite], binDir, testsProgram), "--list-images")
	command.Dir, command.Stdout = "/", &output
	if err := job.run.run(ctx, command, nil); err != nil {
		return nil, fmt.Errorf("asking the tests for their images: %w", err)
	}
	var images []testImage
	for _, reference := range strings.Fields(output.String()) {
		name, _, _ := strings.Cut(path.Base(reference), ":")
		if recipe, known := testImageRecipes()[name]; known && strings.HasPrefix(reference, "registry.k8s.io/") {
			images = append(images, testImage{reference: reference, recipe: recipe})
		}
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("the tests list no image that can be built: %.200q", output.String())
	}
	return images, nil
}
