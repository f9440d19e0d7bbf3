package inside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Main is the machine subcommand of berth-supervisor.
func Main(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("machine: which step? (launch, hold, boot, mount, unmount)")
	}
	switch step, rest := args[0], args[1:]; {
	case step == "launch" && len(rest) == 1:
		return launch(ctx, rest[0])
	case step == "hold" && len(rest) == 0:
		return hold()
	case step == "boot" && len(rest) == 0:
		return boot(ctx)
	case step == "mount" && len(rest) == 2:
		return mountVolume(rest[0], rest[1])
	case step == "unmount" && len(rest) == 1:
		return unmountVolume(rest[0])
	default:
		return fmt.Errorf("machine: unknown step %q with %d arguments", step, len(rest))
	}
}

// hold keeps a user namespace alive until its parent closes the pipe or dies.
func hold() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
