package management

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

func definition(plural string) *apiextensionsv1.CustomResourceDefinition {
	d := &apiextensionsv1.CustomResourceDefinition{}
	d.Spec.Group, d.Spec.Names.Plural = "example.com", plural
	d.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1"}}
	return d
}

// TestASharedManagementAPIIsReadyOnceDiscoveryNamesEveryKind has a server whose
// discovery knows nothing of the group, then one kind of it, then both.
func TestASharedManagementAPIIsReadyOnceDiscoveryNamesEveryKind(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served := metav1.APIResourceList{GroupVersion: "example.com/v1", APIResources: []metav1.APIResource{{Name: "ones"}}}
		switch n := asked.Add(1); {
		case n <= 2:
			http.NotFound(w, nil)
			return
		case n > 4:
			served.APIResources = append(served.APIResources, metav1.APIResource{Name: "twos"})
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(served); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	config := &rest.Config{Host: server.URL, QPS: -1}
	desired := []*apiextensionsv1.CustomResourceDefinition{definition("ones"), definition("twos")}
	if err := waitDiscovered(t.Context(), config, desired); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 5 {
		t.Errorf("discovery was read %d times, and names both kinds from the fifth on", n)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := waitDiscovered(ctx, config, append(desired, definition("threes")))
	if err == nil || !strings.Contains(err.Error(), "example.com/v1 (missing: threes)") {
		t.Errorf("a kind that is never named: %v", err)
	}
}
