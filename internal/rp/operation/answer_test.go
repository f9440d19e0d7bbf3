package operation

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
)

func TestAnOperationSaysWhatItWaitsForAndWhatToDoAboutAFailure(t *testing.T) {
	for name, c := range map[string]struct {
		operation Operation
		want      []string
	}{
		"waiting":    {Operation{Status: meta.OperationInProgress, Phase: "NetworkReady", Message: "waiting for an address"}, []string{`"phase":"NetworkReady"`, `"message":"waiting for an address"`}},
		"failed":     {Operation{Status: meta.OperationFailed, ResourceID: "/x", Failure: &meta.Failure{Code: "ImageMissing", Message: "the image is away."}}, []string{`"code":"ImageMissing"`, "the image is away. Read the resource", `"target":"/x"`}},
		"no room":    {Operation{Status: meta.OperationFailed, Failure: &meta.Failure{Code: "AllocationFailed", Message: "no room"}}, []string{"no room. Ask for fewer or smaller nodes"}},
		"a deletion": {Operation{Status: meta.OperationFailed, Verb: meta.VerbDelete, Failure: &meta.Failure{Code: "OperationFailed"}}, []string{"without a reason on record. Repeat the deletion"}},
		"canceled":   {Operation{Status: meta.OperationCanceled}, []string{`"code":"OperationPreempted"`, "Repeat the request if it is still wanted."}},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := WriteStatus(w, &arm.Request{Request: httptest.NewRequest(http.MethodGet, "/operations/1", nil)}, c.operation); err != nil {
				t.Fatal(err)
			}
			for _, piece := range c.want {
				if !strings.Contains(w.Body.String(), piece) {
					t.Errorf("%s lacks %s", w.Body, piece)
				}
			}
		})
	}
}
