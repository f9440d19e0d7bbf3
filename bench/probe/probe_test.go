package probe

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnOutageIsFromTheFirstFailureToTheNextGoodAnswer(t *testing.T) {
	start := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	at := func(ms int, well bool) answer {
		asked := start.Add(time.Duration(ms) * time.Millisecond)
		return answer{asked: asked, answered: asked.Add(5 * time.Millisecond), well: well}
	}
	for name, c := range map[string]struct {
		answers []answer
		want    time.Duration
	}{
		"none":          {nil, 0},
		"all well":      {[]answer{at(0, true), at(50, true)}, 0},
		"one failed":    {[]answer{at(0, true), at(50, false), at(100, true)}, 55 * time.Millisecond},
		"the longest":   {[]answer{at(0, false), at(50, true), at(100, false), at(150, false), at(200, true)}, 105 * time.Millisecond},
		"out of order":  {[]answer{at(100, true), at(50, false), at(0, true)}, 55 * time.Millisecond},
		"until the end": {[]answer{at(0, true), at(50, false), at(150, false)}, 105 * time.Millisecond},
	} {
		if got := longestOutage(c.answers); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestEachQuestionHasAConnectionOfItsOwnAndAFailureIsSeen(t *testing.T) {
	var asked atomic.Int32
	connections := map[string]bool{}
	seen := make(chan string, 1000)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.RemoteAddr
		if n := asked.Add(1); n == 3 || n == 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"users":[{"name":"u","user":{"token":"t"}}],"clusters":[{"name":"c","cluster":{"server":%q,"certificate-authority-data":%q}}]}`,
		server.URL, base64.StdEncoding.EncodeToString(ca))
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Start(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		connections[<-seen] = true
	}
	longest, n := p.Stop()
	if len(connections) != 8 || n < 6 {
		t.Errorf("%d questions came over %d connections", n, len(connections))
	}
	if longest == 0 {
		t.Error("two failures were not seen")
	}
}
