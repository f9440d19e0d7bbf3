package argument

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// listAnnotation marks the flags that take several words, as az's do:
// --tags a=1 b=2.
const listAnnotation = "berth.dev/list"

// Pairs adds a flag of words key[=value], such as --tags.
func Pairs(command *cobra.Command, pairs map[string]*string, name, usage string) {
	command.Flags().Var(pairsValue(pairs), name, usage)
	markList(command, name)
}

// Words adds a flag of words, parted by blanks or commas, such as --node-taints.
func Words(command *cobra.Command, words *[]*string, name, usage string) {
	command.Flags().Var(&wordsValue{words: words}, name, usage)
	markList(command, name)
}

func markList(command *cobra.Command, name string) {
	must(command.Flags().SetAnnotation(name, listAnnotation, []string{"true"}))
	must(command.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
}

// Expand writes the words behind a list flag as flags of their own, which is
// the only form that the flags' library knows.
func Expand(root *cobra.Command, args []string) []string {
	command, _, err := root.Find(args)
	if err != nil {
		return args
	}
	expanded := make([]string, 0, len(args))
	list, taken := "", false
	for i, word := range args {
		if word == "--" {
			return append(expanded, args[i:]...)
		}
		switch {
		case strings.HasPrefix(word, "-") && word != "-":
			name, _, hasValue := strings.Cut(word, "=")
			list, taken = "", hasValue
			if flag := command.Flags().Lookup(strings.TrimPrefix(name, "--")); flag != nil && flag.Annotations[listAnnotation] != nil {
				list = name
			}
		case list != "" && taken:
			word = list + "=" + word
		default:
			taken = true
		}
		expanded = append(expanded, word)
	}
	return expanded
}

// pairsValue is the value of a flag of pairs.
type pairsValue map[string]*string

func (p pairsValue) String() string { return "" }
func (p pairsValue) Type() string   { return "key=value" }

func (p pairsValue) Set(word string) error {
	for pair := range strings.FieldsSeq(word) {
		key, value, _ := strings.Cut(pair, "=")
		if key == "" {
			return fmt.Errorf("%q has no key", pair)
		}
		p[key] = &value
	}
	return nil
}

// wordsValue is the value of a flag of words.
type wordsValue struct{ words *[]*string }

func (w *wordsValue) String() string { return "" }
func (w *wordsValue) Type() string   { return "words" }

func (w *wordsValue) Set(text string) error {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		*w.words = append(*w.words, &word)
	}
	return nil
}

// versionValue is a Kubernetes version, without the v that people write.
type versionValue string

func (v *versionValue) String() string { return string(*v) }
func (v *versionValue) Type() string   { return "version" }

func (v *versionValue) Set(text string) error {
	text = strings.TrimPrefix(strings.TrimPrefix(text, "v"), "V")
	if text != "" && !regexp.MustCompile(`^\d+\.\d+(\.\d+)?$`).MatchString(text) {
		return fmt.Errorf("a version has the form 1.35 or 1.35.4")
	}
	*v = versionValue(text)
	return nil
}

// choiceValue is one of a few words, in any case.
type choiceValue struct {
	value   *string
	choices []string
}

func (c *choiceValue) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c *choiceValue) Type() string { return "string" }

func (c *choiceValue) Set(text string) error {
	i := slices.IndexFunc(c.choices, func(choice string) bool { return strings.EqualFold(choice, text) })
	if i < 0 {
		return fmt.Errorf("allowed are %s", strings.Join(c.choices, ", "))
	}
	*c.value = c.choices[i]
	return nil
}

// nameValue is the name of a resource. It refuses the two that are no names but
// steps in a path: the request for the node pool ".." would be one for its cluster.
type nameValue string

// String implements pflag.Value.
func (v *nameValue) String() string { return string(*v) }

// Type implements pflag.Value.
func (*nameValue) Type() string { return "string" }

// Set implements pflag.Value.
func (v *nameValue) Set(name string) error {
	if name == "." || name == ".." {
		return errors.New("it is a step in a path and no name")
	}
	*v = nameValue(name)
	return nil
}
