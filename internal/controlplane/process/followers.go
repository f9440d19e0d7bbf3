package process

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/thread"
)

// followLasts is how long a successor waits for the agents that its predecessor
// has. An agent looks for servers once a second; one that does not come is that of a
// node which is gone and has not been missed yet.
const followLasts = 20 * time.Second

// agentsMetric counts the agents of a konnectivity server, by strategy.
const agentsMetric = "konnectivity_network_proxy_server_ready_backends"

// followers says whether the nodes' agents have come to a successor. Since when
// it waits is kept in memory alone: a new process begins to wait anew.
type followers struct {
	now func() time.Time

	mu    sync.Mutex
	since map[string]time.Time
}

func newFollowers(now func() time.Time) *followers {
	return &followers{now: now, since: map[string]time.Time{}}
}

// arrived says that the konnectivity server of a slot has as many agents as that
// of the slot which serves, or that those who miss had their time.
func (f *followers) arrived(ctx context.Context, desired controlplane.Desired, serving, next controlplane.Slot) bool {
	has, err := agents(ctx, desired, next)
	wanted, servingErr := agents(ctx, desired, serving)
	if err == nil && (servingErr != nil || has >= wanted) || f.waited(desired.ID) >= followLasts {
		f.forget(desired.ID)
		return true
	}
	return false
}

// waited is for how long a control plane's successor has waited.
func (f *followers) waited(id string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, begun := f.since[id]; !begun {
		f.since[id] = f.now()
	}
	return f.now().Sub(f.since[id])
}

func (f *followers) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.since, id)
}

// agents counts the agents of a slot's konnectivity server.
func agents(ctx context.Context, desired controlplane.Desired, slot controlplane.Slot) (int, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return thread.DialIn(ctx, desired.NetworkNamespace, address)
	}}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	address := netip.AddrPortFrom(controlplane.Loopback(desired.Address), slot.AdminPort())
	_, body, err := get(ctx, client, "http://"+address.String()+"/metrics")
	return count(body), err
}

// count adds up a gauge of a page of metrics.
func count(page []byte) int {
	sum := 0.0
	for lines := bufio.NewScanner(bytes.NewReader(page)); lines.Scan(); {
		line, is := strings.CutPrefix(lines.Text(), agentsMetric)
		if !is || line == "" || line[0] != '{' && line[0] != ' ' {
			continue
		}
		fields := strings.Fields(line[strings.LastIndexByte(line, '}')+1:])
		if len(fields) == 0 {
			continue
		}
		if value, err := strconv.ParseFloat(fields[0], 64); err == nil {
			sum += value
		}
	}
	return int(sum)
}
