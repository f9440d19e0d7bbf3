package containerservice

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// Where several front ends give out the same hosts, none may believe that what
// it read is still so when it writes. Each therefore reserves what a cluster is
// about to take in one object that all have in common, under the version of it
// that it read before it counted: whoever counted the same room meanwhile is
// told to count again. A reservation ends when its cluster shows the demand or was
// written since, by which the write that it was for came or cannot come any
// more, or by its time, if the front end died in between.
const (
	ledgerName = "capacity-reservations"
	// reservationLifetime is longer than any write of a request can take.
	reservationLifetime = 3 * time.Minute
)

// reservation is what a cluster is about to take.
type reservation struct {
	CPUs      int64     `json:"cpus"`
	MemoryMiB int64     `json:"memoryMiB"`
	Until     time.Time `json:"until"`
	// Generation is the cluster's when the room was counted, 0 if it is new.
	Generation int64 `json:"generation,omitempty"`
}

// readLedger reads what is reserved. It has to come before the clusters are
// counted: what is written after it is then seen as a conflict.
func (p *Provider) readLedger(ctx context.Context) (*corev1.ConfigMap, error) {
	ledger := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: ledgerName}}
	if !p.Shared {
		return ledger, nil
	}
	err := p.Client.Get(ctx, client.ObjectKeyFromObject(ledger), ledger)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading what is reserved: %w", err)
	}
	return ledger, nil
}

// pending is what clusters will take beyond what they show, without one of them.
// What counts no longer is dropped from the ledger.
func (p *Provider) pending(ledger *corev1.ConfigMap, clusters []containerservicev1alpha1.ManagedCluster, except string) amount {
	shown, generations := map[string]amount{}, map[string]int64{}
	for i := range clusters {
		shown[clusters[i].Name], generations[clusters[i].Name] = demand(&clusters[i]), clusters[i].Generation
	}
	var sum amount
	for name, text := range ledger.Data {
		var r reservation
		now := shown[name]
		if json.Unmarshal([]byte(text), &r) != nil || !r.Until.After(p.Now()) || generations[name] > r.Generation ||
			now.cpus >= r.CPUs && now.memoryMiB >= r.MemoryMiB {
			delete(ledger.Data, name)
			continue
		}
		if name != except {
			sum = sum.plus(amount{max(0, r.CPUs-now.cpus), max(0, r.MemoryMiB-now.memoryMiB)})
		}
	}
	return sum
}

// admitRoom is admitCapacity that holds across front ends.
func (p *Provider) admitRoom(ctx context.Context, old, next *containerservicev1alpha1.ManagedCluster, f facts, target string) error {
	if err := admitCapacity(old, next, f, target); err != nil || !p.Shared {
		return err
	}
	var before amount
	var generation int64
	if old != nil {
		before, generation = demand(old), old.Generation
	}
	after := demand(next)
	if after.cpus <= before.cpus && after.memoryMiB <= before.memoryMiB {
		return nil
	}
	text, err := json.Marshal(reservation{after.cpus, after.memoryMiB, p.Now().Add(reservationLifetime).UTC(), generation})
	if err != nil {
		return err
	}
	ledger := f.ledger
	if ledger.Data == nil {
		ledger.Data = map[string]string{}
	}
	ledger.Data[next.Name] = string(text)
	if ledger.ResourceVersion == "" {
		return p.Client.Create(ctx, ledger)
	}
	return p.Client.Update(ctx, ledger)
}
