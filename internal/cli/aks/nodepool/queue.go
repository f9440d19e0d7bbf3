package nodepool

import (
	"context"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/spf13/cobra"
)

// queueHeader asks the service to let an operation wait for what is in its way.
const queueHeader = "Berth-Queue"

// bindQueue adds --queue.
func bindQueue(command *cobra.Command, queue *bool) {
	command.Flags().BoolVar(queue, "queue", false, "wait for the operation that is in the way, instead of being refused; operation-abort takes it out of the queue")
}

// queueing makes the requests of a context wait their turn.
func queueing(ctx context.Context, queue bool) context.Context {
	if !queue {
		return ctx
	}
	return policy.WithHTTPHeader(ctx, http.Header{queueHeader: {"true"}})
}
