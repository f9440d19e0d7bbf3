// Package tenant asks API servers of clusters at a constant rate, and measures
// how long answers take from when a question was due. It knows no Berth: what it
// asks is Kubernetes.
package tenant

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is an API server as its administrator reaches it.
type Server struct {
	url    string
	client *http.Client
}

// timeout is how long an answer may take.
const timeout = 10 * time.Second

// New makes a Server of its URL and PEM files' contents.
func New(url string, ca, cert, key []byte) (*Server, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading the administrator's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("reading the authority: no certificate in the PEM")
	}
	return &Server{url: strings.TrimSuffix(url, "/"), client: &http.Client{Timeout: timeout, Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}}}, nil
}

// namespace is where the objects of a measurement lie.
const namespace = "default"

// path is that of a ConfigMap, or of all of them.
func path(n int) string {
	if n < 0 {
		return "/api/v1/namespaces/" + namespace + "/configmaps?labelSelector=bench"
	}
	return fmt.Sprintf("/api/v1/namespaces/%s/configmaps/bench-%d", namespace, n)
}

// object is a ConfigMap of about one KiB, which another round makes another.
func object(n, round int) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bench-%d","labels":{"bench":""}},"data":{"round":"%d","text":%q}}`,
		n, round, strings.Repeat("k", 1000))
}

// Populate makes the objects that List and Put work on.
func (s *Server) Populate(ctx context.Context, count int) error {
	for n := range count {
		if _, err := s.ask(ctx, http.MethodPost, strings.SplitN(path(-1), "?", 2)[0], object(n, 0)); err != nil {
			return fmt.Errorf("making object %d: %w", n, err)
		}
	}
	return nil
}

// List lists the objects.
func (s *Server) List(ctx context.Context, _ int) error {
	_, err := s.ask(ctx, http.MethodGet, path(-1), "")
	return err
}

// Put changes one of the first hundred objects.
func (s *Server) Put(ctx context.Context, n int) error {
	_, err := s.ask(ctx, http.MethodPut, path(n%100), object(n%100, n))
	return err
}

// Get reads the namespace.
func (s *Server) Get(ctx context.Context, _ int) error {
	_, err := s.ask(ctx, http.MethodGet, "/api/v1/namespaces/"+namespace, "")
	return err
}

func (s *Server) ask(ctx context.Context, method, path, body string) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	read, err := io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	return read, err
}

// AtRate calls ask so many times a second for some time, whether or not earlier
// calls have returned, and says how long each took from when it was due. One that
// fails fails all.
func AtRate(ctx context.Context, perSecond int, length time.Duration, ask func(ctx context.Context, n int) error) ([]time.Duration, error) {
	interval := time.Second / time.Duration(perSecond)
	count := int(length / interval)
	took, errs := make([]time.Duration, count), make([]error, count)
	start := time.Now()
	var asking sync.WaitGroup
	for n := range count {
		due := start.Add(time.Duration(n) * interval)
		select {
		case <-ctx.Done():
			asking.Wait()
			return nil, ctx.Err()
		case <-time.After(time.Until(due)):
		}
		asking.Go(func() {
			errs[n] = ask(ctx, n)
			took[n] = time.Since(due)
		})
	}
	asking.Wait()
	return took, errors.Join(errs...)
}

// P99 is the 99th percentile by nearest rank.
func P99(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[(len(sorted)*99+99)/100-1]
}
