// Command web is the sample application: a page that says which pod on which
// node answered, and when. It is built from this file alone, with the standard
// library, into the image berth.internal/samples/web.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// answer is what the page says.
type answer struct {
	Pod       string    `json:"pod"`
	Namespace string    `json:"namespace,omitempty"`
	Node      string    `json:"node,omitempty"`
	Client    string    `json:"client"`
	Time      time.Time `json:"time"`
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hello from Berth</title>
<style>
  body { font: 18px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center; background: #eef3f7; color: #16324a }
  main { background: #fff; padding: 2rem 2.5rem; border-radius: 12px; box-shadow: 0 8px 30px rgb(22 50 74 / 12%); max-width: 34rem }
  h1 { margin: 0 0 .5rem; font-size: 1.7rem }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 1.25rem 0 0 }
  dt { color: #5b7488 }
  dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere }
</style>
<main>
  <h1>Hello from Berth</h1>
  <p>Your cluster runs, and this page came out of one of its pods through a load balancer.</p>
  <dl>
    <dt>pod</dt><dd>{{.Pod}}</dd>
    {{- with .Node}}<dt>node</dt><dd>{{.}}</dd>{{end}}
    {{- with .Namespace}}<dt>namespace</dt><dd>{{.}}</dd>{{end}}
    <dt>you</dt><dd>{{.Client}}</dd>
    <dt>time</dt><dd>{{.Time.Format "2006-01-02 15:04:05 MST"}}</dd>
  </dl>
</main>
</html>
`

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	if err := run(log); err != nil {
		log.Error("web server ended", "error", err)
		os.Exit(1)
	}
}

// run serves until it is told to end, then lets open requests finish.
func run(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{
		Addr: ":" + port, Handler: handler(template.Must(template.New("page").Parse(page))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Info("serving", "address", server.Addr)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ending); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func handler(page *template.Template) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		said := describe(r)
		w.Header().Set("Cache-Control", "no-store")
		if strings.Contains(r.Header.Get("Accept"), "application/json") {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(said)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, said)
	})
	return mux
}

// describe reads what the pod was told about itself. Without that, the host
// name is the pod's name.
func describe(r *http.Request) answer {
	said := answer{
		Pod: os.Getenv("POD_NAME"), Namespace: os.Getenv("POD_NAMESPACE"), Node: os.Getenv("NODE_NAME"),
		Time: time.Now().UTC(),
	}
	if said.Pod == "" {
		said.Pod, _ = os.Hostname()
	}
	said.Client = r.RemoteAddr
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		said.Client = host
	}
	return said
}
