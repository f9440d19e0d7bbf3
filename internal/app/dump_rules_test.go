package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oldNft answers as ip-netns(8) does with an nft that aborts at one rule of a chain.
const oldNft = `#!/bin/sh
shift 4
case "$*" in
"list ruleset" | "list chain ip berth original") echo "nft: Assertion failed" >&2; exit 134 ;;
"-j list chains") echo '{"nftables": [{"metainfo": {"version": "1.0.6"}},
 {"chain": {"family": "ip", "table": "berth", "name": "original", "handle": 1}},
 {"chain": {"family": "ip", "table": "berth", "name": "plain", "handle": 2}}]}' ;;
"list chain ip berth plain") echo "ip daddr @places drop" ;;
"list sets") echo "elements = { 100.64.0.7 }" ;;
esac
`

func TestADumpHasTheRulesBesideOneThatCannotBeListed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ip"), []byte(oldNft), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	var text bytes.Buffer
	b := &bundle{}
	b.gatherRules(t.Context(), &text, "berth-x-vnet-alpha")
	for _, want := range []string{"ip daddr @places drop", "100.64.0.7"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing:\n%s", want, text.String())
		}
	}
	if len(b.problems) != 2 || !strings.Contains(b.problems[1], "list chain ip berth original") {
		t.Errorf("the problems are %q: they have to name what is missing", b.problems)
	}
}
