package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"berth.dev/berth/internal/cli/session"
)

// commands are all commands but those that the library adds.
func commands(command *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{command}
	for _, child := range command.Commands() {
		if child.Name() != "completion" && child.Name() != "help" {
			all = append(all, commands(child)...)
		}
	}
	return all
}

func newTree() *cobra.Command {
	return NewRoot(session.New(session.Streams{In: strings.NewReader(""), Out: &strings.Builder{}, Err: &strings.Builder{}}))
}

func TestEveryCommandShowsExamplesOfItself(t *testing.T) {
	for _, command := range commands(newTree()) {
		if command.Short == "" {
			t.Errorf("%s: does not say what it does", command.CommandPath())
		}
		// Of a command that only holds others, theirs are the examples.
		if command.Runnable() && !strings.Contains(command.Example, command.CommandPath()) {
			t.Errorf("%s: no example shows it:\n%s", command.CommandPath(), command.Example)
		}
	}
}

func TestEveryFlagSaysWhatItIsFor(t *testing.T) {
	for _, command := range commands(newTree()) {
		command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
			if flag.Usage == "" {
				t.Errorf("%s --%s: no description", command.CommandPath(), flag.Name)
			}
		})
	}
}

func TestExamplesUseOnlyFlagsThatExist(t *testing.T) {
	for _, command := range commands(newTree()) {
		for line := range strings.SplitSeq(command.Example, "\n") {
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "berth" {
				continue
			}
			target, _, err := newTree().Find(words[1:])
			if err != nil || target.HasSubCommands() {
				t.Errorf("%s: its example %q is no command", command.CommandPath(), line)
				continue
			}
			for _, word := range words {
				if name, isFlag := strings.CutPrefix(word, "--"); isFlag && target.Flag(name) == nil {
					t.Errorf("%s: its example %q has an unknown flag %s", command.CommandPath(), line, word)
				}
			}
		}
	}
}

func TestWrongCommandLinesAreUsageErrors(t *testing.T) {
	tests := []struct {
		name string
		args string
		want string
	}{
		{"a mistyped command", "aks crate", "did you mean create?"},
		{"a mistyped command of the root", "goup list", "did you mean group"},
		{"a missing flag", "aks show -g rg", `required flag(s) "name" not set`},
		{"an unknown flag", "aks list --colour", "unknown flag: --colour"},
		{"a word too many", "aks list demo", "unknown command"},
		{"a bad format", "aks list -o xml", "allowed are json, jsonc, table, tsv, yaml, none"},
		{"a bad query", "aks list --query a[", "not a JMESPath expression"},
		{"a bad version", "aks create -g rg -n demo -k latest", "1.35 or 1.35.4"},
		{"a bad choice", "aks create -g rg -n demo --tier gold", "allowed are free, standard, premium"},
		{"a tag without a key", "group create -n rg --tags =x", "has no key"},
		{"nothing to wait for", "aks wait -g rg -n demo", "at least one of the flags"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDouble(t)
			out, errs, code := d.run(strings.Fields(test.args)...)
			if code != 2 || !strings.Contains(errs, test.want) || out != "" {
				t.Errorf("exit code %d, want 2 and %q on standard error, got\n%s%s", code, test.want, errs, out)
			}
			if len(d.requests) > 0 {
				t.Errorf("sent %v", d.requests)
			}
		})
	}
}

func TestShellsCompleteWhatTheServiceHas(t *testing.T) {
	d := withCluster(t)
	tests := []struct {
		name string
		args string
		want []string
	}{
		{"groups", "aks show -g", []string{"rg"}},
		{"clusters of a group", "aks show -g rg -n", []string{"demo"}},
		{"clusters of another group", "aks show -g other -n", nil},
		{"pools", "aks nodepool show -g rg --cluster-name demo -n", []string{"extra"}},
		{"versions", "aks create -k", []string{"1.35", "1.35.4", "1.35.6", "1.36", "1.36.0"}},
		{"formats", "aks list -o", []string{"json", "jsonc", "table", "tsv", "yaml", "none"}},
		{"locations", "group create -l", []string{"local"}},
		{"tiers", "aks create --tier", []string{"free", "standard", "premium"}},
	}
	d.must("aks", "nodepool", "add", "-g", "rg", "--cluster-name", "demo", "-n", "extra", "-c", "1")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out := d.must(append(append([]string{"__complete"}, strings.Fields(test.args)...), "")...)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if got := strings.Join(lines[:len(lines)-1], " "); got != strings.Join(test.want, " ") {
				t.Errorf("completed %q, want %q", got, test.want)
			}
		})
	}
	d.Close()
	if out := d.must("__complete", "aks", "show", "-g", ""); strings.TrimSpace(out) != ":4" {
		t.Errorf("without a service, completion printed %q", out)
	}
}
