package repo

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestNoFlagSwitchesVerificationOff(t *testing.T) {
	// Written in pieces, so that this file does not find itself.
	insecure := regexp.MustCompile(`(?i)insecure[-_]?skip|InsecureSkip` + `Verify|--insecure|insecure-allow|anonymous-auth=true|curl -k|AlwaysAllow|no-check-certificate`)
	for _, file := range files(t) {
		if file.Path == "test/repo/text_test.go" || strings.HasSuffix(file.Path, ".sum") {
			continue
		}
		number := 0
		for line := range strings.Lines(file.Content) {
			number++
			if insecure.MatchString(line) {
				t.Errorf("%s:%d: %s", file.Path, number, strings.TrimSpace(line))
			}
		}
	}
}

func TestNoSecretIsCommitted(t *testing.T) {
	private := regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE ` + `KEY-----\n[A-Za-z0-9+/]{40}`)
	for _, file := range files(t) {
		if private.MatchString(file.Content) {
			t.Errorf("%s holds a private key", file.Path)
		}
	}
}

func TestTheMakefileStaysAnIndex(t *testing.T) {
	for _, file := range files(t) {
		if file.Path == "Makefile" && strings.Count(file.Content, "\n") > 150 {
			t.Error("the Makefile has more than 150 lines: logic belongs in hack/")
		}
	}
}

func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, file := range files(t) {
		if !strings.HasSuffix(file.Path, ".md") {
			continue
		}
		for _, match := range link.FindAllStringSubmatch(file.Content, -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(file.Path), match[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", file.Path, match[1])
			}
		}
	}
}

func TestTheArchitecturePageNamesEveryPackageFolder(t *testing.T) {
	var page string
	folders := map[string]bool{}
	for _, file := range files(t) {
		if file.Path == "ARCHITECTURE.md" {
			page = file.Content
		}
		parts := strings.Split(file.Path, "/")
		if strings.HasSuffix(file.Path, ".go") && len(parts) > 2 && (parts[0] == "internal" || parts[0] == "cmd") {
			folders[parts[0]+"/"+parts[1]] = true
		}
	}
	if page == "" {
		t.Fatal("ARCHITECTURE.md is not there")
	}
	for folder := range folders {
		if !strings.Contains(page, "`"+folder+"`") {
			t.Errorf("ARCHITECTURE.md does not name `%s`", folder)
		}
	}
	for _, match := range regexp.MustCompile("`((?:internal|cmd)/[a-z-]+)`").FindAllStringSubmatch(page, -1) {
		if !folders[match[1]] {
			t.Errorf("ARCHITECTURE.md names `%s`, which is not there", match[1])
		}
	}
}
