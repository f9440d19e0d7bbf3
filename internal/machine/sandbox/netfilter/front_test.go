package netfilter

import "testing"

func TestOnlyWhatReadsCommandsFromAFileBorrowsASocket(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		want      bool
	}{
		"commands from the input":         {[]string{"-f", "-"}, true},
		"a check of them":                 {[]string{"--check", "--file", "rules"}, true},
		"short options in one":            {[]string{"-cf", "rules"}, true},
		"a question":                      {[]string{"--json", "list", "ruleset"}, false},
		"its version":                     {[]string{"--version"}, false},
		"a name that has the letter":      {[]string{"-j", "list", "table", "ip", "filter"}, false},
		"a long option that has a letter": {[]string{"--stateless", "--numeric-time", "--terse", "--define", "a=b", "list", "ruleset"}, false},
	} {
		if got := transacts(test.arguments); got != test.want {
			t.Errorf("%s: %v borrows: %t", name, test.arguments, got)
		}
	}
}
