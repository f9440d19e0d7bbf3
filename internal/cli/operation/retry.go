package operation

import (
	"errors"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// changeAttempts is how often a change is tried that others get in before.
const changeAttempts = 3

// RetryChanged repeats a read with a write after it where somebody else wrote
// in between.
func RetryChanged(change func() error) error {
	var err error
	for range changeAttempts {
		var response *azcore.ResponseError
		if err = change(); !errors.As(err, &response) || response.StatusCode != http.StatusPreconditionFailed {
			return err
		}
	}
	return err
}
