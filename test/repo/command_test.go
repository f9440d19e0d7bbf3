package repo

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"berth.dev/berth/internal/cli"
	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/session"
)

// shown is a command that a document shows.
type shown struct {
	path string
	// words are the command and its arguments, without assignments before it.
	words []string
	// whole says that it is to be run as it stands; what stands in a sentence may be cut short.
	whole bool
}

func TestEveryCommandInTheDocumentsExists(t *testing.T) {
	all := files(t)
	targets := makeTargets(t, all)
	checked := 0
	for _, file := range all {
		if !strings.HasSuffix(file.Path, ".md") {
			continue
		}
		for _, s := range commandsOf(file) {
			err := error(nil)
			switch s.words[0] {
			case "berth", "bin/berth":
				err = checkBerth(s)
			case "make":
				err = checkMake(s, targets)
			default:
				continue
			}
			checked++
			if err != nil {
				t.Errorf("%s shows %q: %v", s.path, strings.Join(s.words, " "), err)
			}
		}
	}
	if checked < 50 {
		t.Errorf("found only %d commands: the test looks in the wrong place", checked)
	}
}

func TestWrongCommandsInADocumentAreFound(t *testing.T) {
	text := "Run `berth aks crate` or `berth up --detatch`; `berth aks` is fine.\n```\n" +
		"sudo BERTH_HOME=/srv/b bin/berth aks show -g a | tail # and no --name\n" +
		"x=$(bin/berth releases) && berth aks scale -g a -n b -c one\nberth status extra\nberth aks create -g a -n b --tags c=d e=f > file\n" +
		"berth aks list \\\n  --colour\n```\n"
	var wrong []string
	for _, s := range commandsOf(File{Path: "x.md", Content: text}) {
		if slices.Contains([]string{"berth", "bin/berth"}, s.words[0]) && checkBerth(s) != nil {
			wrong = append(wrong, strings.Join(s.words[1:], " "))
		}
	}
	slices.Sort(wrong)
	want := []string{"aks crate", "aks list --colour", "aks scale -g a -n b -c one", "aks show -g a", "releases", "status extra", "up --detatch"}
	if !slices.Equal(wrong, want) {
		t.Errorf("found %q, want %q", wrong, want)
	}
}

// checkBerth holds a command against the tree of commands, as the command line
// itself would: its words, its flags and their values.
func checkBerth(s shown) error {
	root := cli.NewRoot(session.New(session.Streams{In: strings.NewReader(""), Out: &strings.Builder{}, Err: &strings.Builder{}}))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	target, rest, err := root.Find(argument.Expand(root, s.words[1:]))
	if err != nil {
		return err
	}
	target.InitDefaultHelpFlag()
	if !s.whole {
		return checkNames(target, rest)
	}
	switch err := target.ParseFlags(rest); {
	case errors.Is(err, pflag.ErrHelp):
		return nil
	case err != nil:
		return err
	case target.HasSubCommands():
		return errors.New("it only holds other commands")
	}
	return errors.Join(target.ValidateArgs(target.Flags().Args()), target.ValidateRequiredFlags(), target.ValidateFlagGroups())
}

// checkNames looks for the names of a command and its flags alone.
func checkNames(target *cobra.Command, rest []string) error {
	for _, word := range rest {
		name, isFlag := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		switch {
		case isFlag && target.Flag(name) == nil:
			return fmt.Errorf("it has no flag %s", word)
		case !strings.HasPrefix(word, "-") && target.HasSubCommands():
			return fmt.Errorf("%q is not one of its commands", word)
		}
	}
	return nil
}

func checkMake(s shown, targets []string) error {
	for _, word := range s.words[1:] {
		if !strings.Contains(word, "=") && !slices.Contains(targets, word) {
			return fmt.Errorf("the Makefile has no target %s", word)
		}
	}
	return nil
}

func makeTargets(t *testing.T, all []File) []string {
	t.Helper()
	var targets []string
	for _, file := range all {
		if file.Path != "Makefile" {
			continue
		}
		for _, match := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(file.Content, -1) {
			targets = append(targets, match[1])
		}
	}
	if len(targets) == 0 {
		t.Fatal("the Makefile has no targets")
	}
	return targets
}

// commandsOf finds the commands of a document: those in blocks of code, and
// those that stand between backquotes in sentences.
func commandsOf(file File) []shown {
	var commands []shown
	block := regexp.MustCompile("(?ms)^ *```[a-z]*\n(.*?)^ *```$")
	for _, match := range block.FindAllStringSubmatch(file.Content, -1) {
		for line := range strings.Lines(strings.ReplaceAll(match[1], "\\\n", " ")) {
			for _, words := range shellCommands(line) {
				commands = append(commands, shown{file.Path, words, true})
			}
		}
	}
	sentences := strings.ReplaceAll(block.ReplaceAllString(file.Content, ""), "\n", " ")
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(sentences, -1) {
		for _, words := range shellCommands(match[1]) {
			commands = append(commands, shown{file.Path, words, false})
		}
	}
	return commands
}

// shellCommands cuts a line of shell into simple commands, those in $(…) too.
// Comments, redirections, sudo and assignments before a command are dropped. It
// knows as much of the shell as the documents use.
func shellCommands(line string) [][]string {
	var commands [][]string
	substitution := regexp.MustCompile(`\$\(([^()]*)\)`)
	for match := substitution.FindStringSubmatch(line); match != nil; match = substitution.FindStringSubmatch(line) {
		commands = append(commands, shellCommands(match[1])...)
		line = strings.Replace(line, match[0], "substituted", 1)
	}
	// A word is made of quoted and plain pieces; what else there is ends a command or redirects it.
	token := regexp.MustCompile(`#.*|[0-9]?[<>]+&?[0-9]?|[|;&()]+|(?:"[^"]*"|'[^']*'|[^\s"'|;&()<>])+`)
	var words []string
	redirected := false
	end := func() {
		if len(words) > 0 {
			commands = append(commands, words)
		}
		words, redirected = nil, false
	}
	for _, word := range token.FindAllString(line, -1) {
		switch {
		case strings.HasPrefix(word, "#"):
			end()
			return commands
		case strings.ContainsAny(word[:1], "|;&()"):
			end()
		case regexp.MustCompile(`^[0-9]?[<>]`).MatchString(word):
			redirected = !strings.Contains(word, "&")
		case redirected:
			redirected = false
		case len(words) == 0 && (word == "sudo" || regexp.MustCompile(`^[A-Za-z_]+=`).MatchString(word)):
		default:
			words = append(words, strings.NewReplacer(`"`, "", "'", "").Replace(word))
		}
	}
	end()
	return commands
}
