// Package probe asks an API server again and again, with a connection of its own
// each time, to see for how long it does not answer.
package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Interval is from one question to the next.
const Interval = 50 * time.Millisecond

// timeout is how long an answer may take.
const timeout = 2 * time.Second

// Prober asks until it is stopped.
type Prober struct {
	url     string
	client  *http.Client
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	answers []answer
}

// answer is when a question was asked and answered, and whether well.
type answer struct {
	asked, answered time.Time
	well            bool
}

// Start begins to ask the API server of a kubeconfig whether it is ready.
func Start(ctx context.Context, kubeconfig string) (*Prober, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Prober{
		url: config.Host + "/readyz", cancel: cancel,
		client: &http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: tlsConfig, DisableKeepAlives: true}},
	}
	p.running.Go(func() { p.run(ctx) })
	return p, nil
}

// run asks on time, whether or not the question before was answered.
func (p *Prober) run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			asking.Go(func() { p.ask(ctx) })
		}
	}
}

func (p *Prober) ask(ctx context.Context) {
	a := answer{asked: time.Now()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return
	}
	response, err := p.client.Do(request)
	if ctx.Err() != nil {
		return // it was not the server that gave up
	}
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		a.well = err == nil && response.StatusCode == http.StatusOK
	}
	a.answered = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = append(p.answers, a)
}

// Stop ends the questions. It says for how long at a time none of them was
// answered well, at most, and how many there were.
func (p *Prober) Stop() (longest time.Duration, asked int) {
	p.cancel()
	p.running.Wait()
	return longestOutage(p.answers), len(p.answers)
}
