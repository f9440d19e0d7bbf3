// Command berth-supervisor keeps processes running without Berth's daemon: the
// components of a control plane (run), or of a machine, as its first process. In a
// machine it is also what is called as nft (package netfilter).
// It is a program of its own so that it stays small: one runs beside every
// control plane and in every machine.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"berth.dev/berth/internal/machine/sandbox/inside"
	"berth.dev/berth/internal/machine/sandbox/netfilter"
)

func main() {
	if filepath.Base(os.Args[0]) == netfilter.Program {
		if err := netfilter.Front(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "nft:", err)
			os.Exit(1)
		}
	}
	if err := dispatch(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "berth-supervisor:", err)
		os.Exit(1)
	}
}

// dispatch calls the subcommand.
func dispatch(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("no command: want run or machine")
	}
	switch command := arguments[0]; command {
	case "run":
		return run(ctx, arguments[1:])
	case "machine":
		return inside.Main(ctx, arguments[1:])
	default:
		return fmt.Errorf("unknown command %q", command)
	}
}
