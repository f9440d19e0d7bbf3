package main

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func fetch(t *testing.T, path, accept string) (int, string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	request.Header.Set("Accept", accept)
	request.RemoteAddr = "198.18.0.7:40000"
	recorder := httptest.NewRecorder()
	handler(template.Must(template.New("page").Parse(page))).ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

func TestThePageNamesThePodTheNodeAndTheCaller(t *testing.T) {
	t.Setenv("POD_NAME", "web-<1>")
	t.Setenv("NODE_NAME", "aks-np1-0")
	status, body := fetch(t, "/", "text/html")
	for _, part := range []string{"Hello from Berth", "web-&lt;1&gt;", "aks-np1-0", "198.18.0.7"} {
		if status != http.StatusOK || !strings.Contains(body, part) {
			t.Errorf("the page (%d) lacks %q", status, part)
		}
	}
	if strings.Contains(body, "<dt>namespace") {
		t.Error("the page shows a namespace that it was not told")
	}
}

func TestAProgramGetsTheAnswerAsJSON(t *testing.T) {
	t.Setenv("POD_NAME", "web-1")
	_, body := fetch(t, "/any/path", "application/json")
	var said answer
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		t.Fatal(err)
	}
	if said.Pod != "web-1" || said.Client != "198.18.0.7" || time.Since(said.Time) > time.Minute {
		t.Errorf("it said %+v", said)
	}
}

func TestTheHealthEndpointAnswersOk(t *testing.T) {
	if status, body := fetch(t, "/healthz", ""); status != http.StatusOK || body != "ok\n" {
		t.Errorf("it answered %d %q", status, body)
	}
}
