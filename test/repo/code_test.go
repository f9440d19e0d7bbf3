package repo

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxFileLines     = 600
	maxFunctionLines = 80
	maxParameters    = 5
)

func goFiles(t *testing.T) []GoFile {
	t.Helper()
	parsed, err := GoFiles(files(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed) < 20 {
		t.Fatalf("found only %d Go files: the test looks in the wrong place", len(parsed))
	}
	return parsed
}

func files(t *testing.T) []File {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	all, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	documented, seen := map[string]bool{}, map[string]string{}
	for _, file := range goFiles(t) {
		if file.IsTest() {
			continue
		}
		seen[file.Package()] = file.Path
		if file.Syntax.Doc != nil && len(file.Syntax.Doc.Text()) > 20 {
			documented[file.Package()] = true
		}
	}
	for directory, example := range seen {
		if !documented[directory] {
			t.Errorf("%s: no package comment (first file: %s)", directory, example)
		}
	}
}

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	for _, file := range goFiles(t) {
		if lines := strings.Count(file.Content, "\n"); lines > maxFileLines {
			t.Errorf("%s: %d lines, at most %d", file.Path, lines, maxFileLines)
		}
		for _, declaration := range file.Syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Body == nil {
				continue
			}
			lines := file.Set.Position(function.End()).Line - file.Set.Position(function.Pos()).Line + 1
			if lines > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d", file.Path, function.Name.Name, lines, maxFunctionLines)
			}
			if parameters := function.Type.Params.NumFields(); parameters > maxParameters {
				t.Errorf("%s: %s has %d parameters, at most %d", file.Path, function.Name.Name, parameters, maxParameters)
			}
		}
	}
}

func TestNothingHappensByBeingImported(t *testing.T) {
	for _, file := range goFiles(t) {
		for _, declaration := range file.Syntax.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == "init" {
				t.Errorf("%s: has an init function", file.Path)
			}
		}
	}
}

func TestPackagesAreNamedForWhatTheyOwn(t *testing.T) {
	empty := regexp.MustCompile(`util|^(common|helpers?|shared|managers?|types|misc)$`)
	for _, file := range goFiles(t) {
		if name := filepath.Base(file.Package()); empty.MatchString(name) {
			t.Errorf("%s: the name %q says nothing about what the package owns", file.Path, name)
		}
	}
}

func TestTestNamesAreSentences(t *testing.T) {
	words := regexp.MustCompile(`[A-Z][a-z]+`)
	for _, file := range goFiles(t) {
		if !file.IsTest() {
			continue
		}
		for _, declaration := range file.Syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(function.Name.Name, "Test") || function.Name.Name == "TestMain" {
				continue
			}
			if len(words.FindAllString(function.Name.Name, -1)) < 4 {
				t.Errorf("%s: %s does not say what holds", file.Path, function.Name.Name)
			}
		}
	}
}
