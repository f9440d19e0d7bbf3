package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// gatherRules shows the nftables rules of a namespace. nft(8) 1.0.6 lists nothing at
// all where it cannot put a single rule into its words: then each chain is listed
// alone, and only those that have such a rule are missing. They are the ones of
// security groups about balanced connections, which the chain of the same name
// without "balanced-" has too, as they are for others.
func (b *bundle) gatherRules(ctx context.Context, text *bytes.Buffer, namespace string) {
	nft := func(arguments ...string) []string {
		return append([]string{"ip", "netns", "exec", namespace, "nft"}, arguments...)
	}
	if b.run(ctx, text, nft("list", "ruleset")) {
		return
	}
	for _, what := range []string{"sets", "maps", "counters"} {
		b.run(ctx, text, nft("list", what))
	}
	list := nft("-j", "list", "chains")
	output, err := exec.CommandContext(ctx, list[0], list[1:]...).Output()
	var listed struct {
		Items []struct {
			Chain *struct{ Family, Table, Name string }
		} `json:"nftables"`
	}
	if err == nil {
		err = json.Unmarshal(output, &listed)
	}
	if err != nil {
		b.problem("listing the chains of "+namespace, err)
	}
	for _, item := range listed.Items {
		if c := item.Chain; c != nil {
			b.run(ctx, text, nft("list", "chain", c.Family, c.Table, c.Name))
		}
	}
}

// run writes what a command says into a text; false if it failed, which is a problem.
func (b *bundle) run(ctx context.Context, text *bytes.Buffer, command []string) bool {
	output, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		b.problem(strings.Join(command, " "), err)
	}
	fmt.Fprintf(text, "# %s\n%s\n", strings.Join(command, " "), output)
	return err == nil
}
