package argument

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func tree(tags map[string]*string, taints *[]*string) *cobra.Command {
	root := &cobra.Command{Use: "berth"}
	command := &cobra.Command{Use: "create", RunE: func(*cobra.Command, []string) error { return nil }}
	command.Flags().StringP("name", "n", "", "a name")
	Pairs(command, tags, "tags", "tags")
	Words(command, taints, "taints", "taints")
	root.AddCommand(command)
	return root
}

func TestWordsBehindAListFlagBelongToIt(t *testing.T) {
	tests := []struct{ name, args, want string }{
		{"several words", "create --tags a=1 b=2 -n x", "create --tags a=1 --tags=b=2 -n x"},
		{"with an equals sign", "create --tags=a=1 b=2", "create --tags=a=1 --tags=b=2"},
		{"two lists", "create --tags a b --taints c d", "create --tags a --tags=b --taints c --taints=d"},
		{"another flag's value", "create -n x --tags a", "create -n x --tags a"},
		{"a stray word stays one", "create -n x stray", "create -n x stray"},
		{"behind a double dash nothing changes", "create --tags a -- b c", "create --tags a -- b c"},
		{"an unknown command", "remove --tags a b", "remove --tags a b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := tree(map[string]*string{}, &[]*string{})
			if got := Expand(root, strings.Fields(test.args)); !slices.Equal(got, strings.Fields(test.want)) {
				t.Errorf("Expand() = %v, want %s", got, test.want)
			}
		})
	}
}

func TestPairsAndWordsAreGathered(t *testing.T) {
	tags, taints := map[string]*string{}, []*string{}
	root := tree(tags, &taints)
	root.SetArgs(Expand(root, []string{"create", "--tags", "a=1", "b", "c=x=y", "d=1 e=2", "--taints", "k=v:NoSchedule,l=w:NoExecute", "m=x:NoSchedule"}))
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"a": "1", "b": "", "c": "x=y", "d": "1", "e": "2"} {
		if got := tags[key]; got == nil || *got != want {
			t.Errorf("tag %s = %v, want %q", key, got, want)
		}
	}
	var words []string
	for _, taint := range taints {
		words = append(words, *taint)
	}
	if strings.Join(words, " ") != "k=v:NoSchedule l=w:NoExecute m=x:NoSchedule" {
		t.Errorf("taints = %v", words)
	}
}
