package supervise

import (
	"context"
	"errors"
)

// Run supervises a directory until its spec says stop, or the context ends, or
// SIGTERM or SIGINT arrives: each of them stops all components in the reverse
// order first. It returns nil once all have stopped.
func Run(ctx context.Context, dir string) error { return errors.New("not built yet") }
