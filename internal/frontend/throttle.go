package frontend

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/containerservice"
	"berth.dev/berth/internal/throttle"
)

// throttled takes the call out of ARM's bucket of the principal in the
// subscription, and writes what is left of it. It comes before anything is
// read, so that a client that runs away costs next to nothing.
func (f *frontend) throttled(w http.ResponseWriter, r *arm.Request) error {
	call := throttle.Writes
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		call = throttle.Reads
	case http.MethodDelete:
		call = throttle.Deletes
	}
	of, subscription := "subscription", r.Param("subscriptionID")
	if subscription == "" {
		of = "tenant"
	}
	remaining, wait, limited := f.throttle.Take(call, r.Principal.ObjectID+" "+subscription)
	if !limited {
		return nil
	}
	w.Header().Set(fmt.Sprintf("x-ms-ratelimit-remaining-%s-%s", of, call), strconv.Itoa(remaining))
	if wait == 0 {
		return nil
	}
	f.metrics.throttled.WithLabelValues(string(call)).Inc()
	return tooMany("TooManyRequests", wait, "The request is being throttled as the limit of %s for this %s and principal has been reached. Please try again after '%d' seconds.",
		call, of, seconds(wait)).With("x-ms-failure-cause", "gateway")
}

// throttledByProvider takes the call out of the resource provider's bucket. It
// comes after the authorization: the bucket belongs to the resource, and who
// may not touch that must not empty it either.
func (f *frontend) throttledByProvider(r *arm.Request) error {
	call, scope := providerCall(r)
	if call == "" {
		return nil
	}
	_, wait, _ := f.throttle.Take(call, scope)
	if wait == 0 {
		return nil
	}
	f.metrics.throttled.WithLabelValues(string(call)).Inc()
	return tooMany("Throttled", wait, "The %s request limit has been exceeded for SubID='%s', please retry again in %d seconds.",
		call, r.Param("subscriptionID"), seconds(wait))
}

// providerCall is the kind of a call of Microsoft.ContainerService, and what
// its bucket belongs to: a cluster, a pool, a group or the subscription.
func providerCall(r *arm.Request) (call throttle.Call, scope string) {
	_, rest, found := strings.Cut(r.Route.Pattern, "/providers/"+containerservice.Namespace+"/")
	subscription := "/subscriptions/" + r.Param("subscriptionID")
	if !found || r.Param("subscriptionID") == "" {
		return "", ""
	}
	switch r.Method + " " + rest {
	case "GET managedClusters":
		if group := r.Param("resourceGroup"); group != "" {
			return throttle.ListInGroup, subscription + "/resourceGroups/" + group
		}
		return throttle.ListInSubscription, subscription
	case "GET managedClusters/{resourceName}":
		return throttle.GetCluster, r.Scope()
	case "PUT managedClusters/{resourceName}":
		return throttle.PutCluster, r.Scope()
	case "PUT managedClusters/{resourceName}/agentPools/{agentPoolName}":
		return throttle.PutPool, r.Scope()
	case "GET locations/{location}/operations/{operationID}", "GET locations/{location}/operationresults/{operationID}":
		return throttle.GetOperation, subscription
	}
	return throttle.Other, subscription
}

func tooMany(code string, wait time.Duration, format string, arguments ...any) *arm.Error {
	return arm.NewError(http.StatusTooManyRequests, code, format, arguments...).With("Retry-After", strconv.Itoa(seconds(wait)))
}

// seconds is a wait in whole seconds, never too few.
func seconds(wait time.Duration) int { return int(math.Ceil(wait.Seconds())) }
