package failure

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"berth.dev/berth/internal/cloud"
)

// Hint is what to do about an error, empty where nothing more is known than
// the error itself says.
func Hint(err error) string {
	var unreachable *Unreachable
	var response *azcore.ResponseError
	var authentication *azidentity.AuthenticationFailedError
	switch {
	case errors.Is(err, ErrUsage), err == nil:
		return ""
	case errors.Is(err, cloud.ErrNotLoggedIn):
		return "start the service with `berth up` (as root), or log in to a running one with `berth login`"
	case errors.As(err, &unreachable):
		return unreachableHint(unreachable)
	case errors.As(err, &response):
		return responseHint(response)
	case errors.As(err, &authentication):
		return "log in again with `berth login`: the stored login is not one that the service knows"
	default:
		return ""
	}
}

func unreachableHint(err *Unreachable) string {
	var unknownAuthority x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	switch {
	case errors.As(err, &unknownAuthority), errors.As(err, &wrongName):
		return "the service shows another certificate than the one you logged in to: log in again with `berth login`"
	case errors.Is(err, fs.ErrPermission):
		return ""
	default:
		return "see whether the service runs with `berth status`, start it with `berth up`"
	}
}

func responseHint(response *azcore.ResponseError) string {
	switch response.ErrorCode {
	case "ResourceGroupNotFound":
		return "make it with `berth group create --name <group>`, or see what there is with `berth group list`"
	case "ResourceNotFound", "NotFound":
		return "see what there is with `berth aks list --output table`"
	case "OperationNotAllowed", "AnotherOperationInProgress":
		return conflictHint(response)
	case "OperationPreempted":
		return "a later operation took its place; `berth aks show --query provisioningState` tells how it stands"
	case "Conflict", "PreConditionFailed", "PreconditionFailed":
		return "somebody else changed it at the same time: look at it and try again"
	case "AuthorizationFailed":
		return "ask an owner of the subscription for a role that allows this"
	case "InvalidAuthenticationToken", "ExpiredAuthenticationToken", "AuthenticationFailed":
		return "log in again with `berth login`"
	case "SubscriptionNotFound", "InvalidSubscriptionId":
		return "leave out --subscription, or log in again with `berth login`"
	}
	return ""
}

// conflictHint tells what only has to wait from what is never allowed. AKS
// answers both with one code, and so the message decides: losing the last
// System pool is no matter of time.
func conflictHint(response *azcore.ResponseError) string {
	parsed, _ := fromResponse(response)
	message := strings.ToLower(parsed.Message)
	for _, passing := range []string{"in progress", "in deletion", "not there yet"} {
		if strings.Contains(message, passing) {
			return "wait until the running operation has ended; `berth aks show --query provisioningState` tells"
		}
	}
	return ""
}
