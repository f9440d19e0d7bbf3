// Package repo reads the repository as text and syntax, so that its tests can
// hold it to the rules of CONTRIBUTING.md. It changes nothing.
package repo

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// File is one file of the repository, by its path from the top.
type File struct {
	Path    string
	Content string
}

// GoFile is a parsed Go file.
type GoFile struct {
	File
	Set    *token.FileSet
	Syntax *ast.File
}

// Root is the top of the checkout, found from the working directory of a test.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", fs.ErrNotExist
}

// Files are the files that git tracks, and those it would: new and not ignored.
func Files(root string) ([]File, error) {
	command := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	command.Dir = root
	listing, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the repository: %w", err)
	}
	var files []File
	for path := range strings.Lines(string(listing)) {
		path = strings.TrimSpace(path)
		content, err := os.ReadFile(filepath.Join(root, path))
		if os.IsNotExist(err) {
			continue // deleted in the working tree
		}
		if err != nil {
			return nil, err
		}
		files = append(files, File{Path: path, Content: string(content)})
	}
	return files, nil
}

// GoFiles parses the hand-written Go files among files.
func GoFiles(files []File) ([]GoFile, error) {
	var parsed []GoFile
	for _, file := range files {
		if !strings.HasSuffix(file.Path, ".go") || strings.Contains(filepath.Base(file.Path), "zz_generated") {
			continue
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, file.Path, file.Content, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, GoFile{File: file, Set: set, Syntax: syntax})
	}
	return parsed, nil
}

// IsTest says whether the file is a test.
func (f GoFile) IsTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Package is the directory of the file.
func (f GoFile) Package() string { return filepath.Dir(f.Path) }
