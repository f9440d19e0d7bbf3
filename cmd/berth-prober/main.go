// Command berth-prober asks the backends of all balancers of a host whether
// they are well and takes those out of rotation that are not. It is a program
// of its own so that it stays small and goes on while the daemon is away.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"berth.dev/berth/internal/network/health"
	"berth.dev/berth/internal/network/linux"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "berth-prober:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("berth-prober", flag.ContinueOnError)
	instance := flags.String("instance", "", "id of the install whose routers these are")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "berth-prober takes backends that fail out of rotation. The service starts it.\n\n"+
			"Usage: berth-prober -instance ID DIRECTORY\n\nExample: berth-prober -instance abcd /var/lib/berth/balancers\n")
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() != 1 || *instance == "" {
		return errors.New("want -instance ID and one directory; see --help")
	}
	debug.SetGCPercent(50) // it makes little garbage and lives long
	store := health.Store{Dir: flags.Arg(0)}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return health.Prober{Store: store, Router: linux.New(linux.Options{Instance: *instance, BalancerDir: store.Dir}), Log: log}.Run(ctx)
}
