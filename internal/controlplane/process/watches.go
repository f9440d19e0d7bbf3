package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// serverAnnotation is on the objects of kept and names the process of the API
// server that watchers of their kinds can go over to.
const serverAnnotation = "containerservice.berth.dev/server"

// kept are the kinds that every kube-proxy watches, with an object of each that
// its watch shows.
func kept() map[string]string {
	return map[string]string{
		"/api/v1/services":                         "/api/v1/namespaces/default/services/kubernetes",
		"/apis/discovery.k8s.io/v1/endpointslices": "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
	}
}

// keepWatches lets watches outlive a hand-over. A server knows no version of an
// object from before it read all of them, and who watches from an older one is
// refused and, with upstream's client, waits for seconds before it lists. So once
// the successor at base has read them, one object of each kind gets a version
// that both servers know: who watches at the predecessor learns of it there, and
// goes on from it at the successor as if nothing had been. The word is the
// successor's process, so that a second time changes nothing.
func keepWatches(ctx context.Context, client *http.Client, base, process string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{serverAnnotation: process}}})
	if err != nil {
		return err
	}
	for kind, object := range kept() {
		// It is answered once the successor has read the kind, and refused before.
		if err := ask(ctx, client, http.MethodGet, base+kind+"?watch=true&resourceVersion=0&timeoutSeconds=1", nil); err != nil {
			return fmt.Errorf("asking whether the API server has read its objects: %w", err)
		}
		if err := ask(ctx, client, http.MethodPatch, base+object+"?fieldManager=berth-handover", patch); err != nil {
			return fmt.Errorf("telling watchers of a version that the API server knows: %w", err)
		}
	}
	return nil
}

// ask sends a request, a patch if it has a body, and reads no more of the answer
// than whether it was well received. A patch of what is not there is: before the
// add-ons nothing is.
func ask(ctx context.Context, client *http.Client, method, address string, patch []byte) error {
	ctx, cancel := context.WithCancel(ctx) // ends a watch
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(patch))
	if err != nil {
		return err
	}
	if patch != nil {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK && (patch == nil || response.StatusCode != http.StatusNotFound) {
		return fmt.Errorf("%s %s: HTTP %d", method, request.URL.Path, response.StatusCode)
	}
	return nil
}
