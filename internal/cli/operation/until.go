package operation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/session"
)

// Until is a condition of a resource that a user waits for, as the flags of
// az's wait commands name it.
type Until struct {
	created, updated, deleted, exists bool
	interval, timeout                 int
}

// NewUntil adds the flags of a wait command.
func NewUntil(command *cobra.Command) *Until {
	u := &Until{}
	flags := command.Flags()
	flags.BoolVar(&u.created, "created", false, "wait until it is created")
	flags.BoolVar(&u.updated, "updated", false, "wait until it is updated")
	flags.BoolVar(&u.deleted, "deleted", false, "wait until it is gone")
	flags.BoolVar(&u.exists, "exists", false, "wait until it is there, in whatever state")
	flags.IntVar(&u.interval, "interval", 1, "seconds between two looks")
	flags.IntVar(&u.timeout, "timeout", 3600, "how many seconds to wait at most")
	command.MarkFlagsOneRequired("created", "updated", "deleted", "exists")
	command.MarkFlagsMutuallyExclusive("created", "updated", "deleted", "exists")
	return u
}

// Wait looks at a resource until the condition holds. look returns its
// provisioning state.
func (u *Until) Wait(ctx context.Context, s *session.Session, look func(ctx context.Context) (state string, err error)) error {
	deadline := s.Clock.Now().Add(time.Duration(u.timeout) * time.Second)
	for {
		state, err := look(ctx)
		missing := isNotFound(err)
		if err != nil && !missing && (ctx.Err() != nil || !passing(err)) {
			return err
		}
		if err == nil || missing {
			if done, err := u.holds(state, missing); done || err != nil {
				return err
			}
		}
		if !s.Clock.Now().Before(deadline) {
			return fmt.Errorf("waited %d s in vain: provisioning state %q", u.timeout, state)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Clock.After(time.Duration(max(u.interval, 1)) * time.Second):
		}
	}
}

func (u *Until) holds(state string, missing bool) (bool, error) {
	switch {
	case u.deleted || missing:
		return u.deleted && missing, nil
	case u.exists:
		return true, nil
	case state == "Failed" || state == "Canceled":
		return false, fmt.Errorf("the operation ended with provisioning state %s", state)
	default:
		return state == "Succeeded" || state == "", nil
	}
}

func isNotFound(err error) bool {
	var response *azcore.ResponseError
	return errors.As(err, &response) && response.StatusCode == http.StatusNotFound
}
