package process

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestWatchesAreKeptOnceTheSuccessorHasReadAllObjects(t *testing.T) {
	for name, c := range map[string]struct {
		watch, patch int
		kept         bool
		patches      int
	}{
		"it has":                      {http.StatusOK, http.StatusOK, true, len(kept())},
		"there is nothing to be told": {http.StatusOK, http.StatusNotFound, true, len(kept())},
		"it has not":                  {http.StatusTooManyRequests, http.StatusOK, false, 0},
		"it cannot write":             {http.StatusOK, http.StatusInternalServerError, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			patches, read := 0, map[string]bool{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if r.Method == http.MethodGet {
					read[r.URL.Path] = r.URL.Query().Get("watch") == "true" && r.URL.Query().Get("resourceVersion") == "0"
					w.WriteHeader(c.watch)
					return
				}
				body, _ := io.ReadAll(r.Body)
				if !strings.Contains(string(body), `"containerservice.berth.dev/server":"kube-apiserver-1442/7"`) || r.Header.Get("Content-Type") != "application/merge-patch+json" {
					t.Errorf("%s %s: %s", r.Method, r.URL.Path, body)
				}
				for kind, object := range kept() {
					if object == r.URL.Path && !read[kind] {
						t.Errorf("%s was written before its kind was read", object)
					}
				}
				patches++
				w.WriteHeader(c.patch)
			}))
			defer server.Close()
			err := keepWatches(t.Context(), server.Client(), server.URL, "kube-apiserver-1442/7")
			if (err == nil) != c.kept || patches != c.patches {
				t.Errorf("%d patches, %v", patches, err)
			}
		})
	}
}
