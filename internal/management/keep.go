package management

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/supervise"
)

// keepInterval is how long the API's supervisor may be gone before another is started.
const keepInterval = time.Second

// Keep starts the API's supervisor again whenever it is gone, until the context
// ends: without one a component that dies stays dead, and the daemon works on
// nothing but that API. The ports stay, because clients have them.
func (s *Server) Keep(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.keep(ctx, log); err != nil && ctx.Err() == nil {
			log.Error("cannot keep the management API", "error", err)
		}
	}
}

func (s *Server) keep(ctx context.Context, log *slog.Logger) error {
	var state state
	if _, err := home.ReadJSON(s.stateFile(), &state); err != nil {
		return err
	}
	handle := s.handle(state)
	if _, lives, err := handle.Status(); err != nil || lives {
		return err
	}
	if _, err := handle.Ensure(ctx, supervise.Spec{Components: s.components(state)}); err != nil {
		return fmt.Errorf("starting the supervisor again: %w", err)
	}
	log.Warn("the supervisor of the management API was gone: started another")
	return nil
}
