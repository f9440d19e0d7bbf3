package history

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/naming"
)

// Shared is a history that several processes have in common: it lies in the
// management API, a ConfigMap for each ended operation. It costs that API a
// write for each operation and memory for those of the last seven days, which
// is why an install with a management API of its own has a file instead. It is
// safe for concurrent use.
type Shared struct {
	client client.Client
}

// NewShared names the history in a management API; c must not cache.
func NewShared(c client.Client) *Shared { return &Shared{client: c} }

const (
	recordLabel  = "history.berth.dev/operation" // on every record, so that a list reads nothing else
	recordKey    = "record"
	recordPrefix = "operation-"
	// callTimeout bounds one call: those who ask have no context to give,
	// because a look into a file needs none.
	callTimeout = 10 * time.Second
	// pruneSize is how many records are read at once.
	pruneSize = 500
)

// Put records the end of an operation. The first record of an id stays.
func (s *Shared) Put(record Record) error {
	value, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encoding operation %s: %w", record.ID, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	err = s.client.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: naming.SystemNamespace, Name: recordPrefix + strings.ToLower(record.ID), Labels: map[string]string{recordLabel: ""},
		},
		Data: map[string]string{recordKey: string(value)},
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("recording operation %s: %w", record.ID, err)
	}
	return nil
}

// Get finds an ended operation by its id.
func (s *Shared) Get(id string) (record Record, found bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var stored corev1.ConfigMap
	err = s.client.Get(ctx, client.ObjectKey{Namespace: naming.SystemNamespace, Name: recordPrefix + strings.ToLower(id)}, &stored)
	if apierrors.IsNotFound(err) {
		return record, false, nil
	}
	if err != nil {
		return record, false, fmt.Errorf("reading operation %s: %w", id, err)
	}
	if err := json.Unmarshal([]byte(stored.Data[recordKey]), &record); err != nil {
		return record, false, fmt.Errorf("reading operation %s: %w", id, err)
	}
	return record, true, nil
}

// Prune drops what ended before a time and says how many records that were.
// Several processes may do so at once.
func (s *Shared) Prune(before time.Time) (pruned int, err error) {
	next := ""
	for {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		var page corev1.ConfigMapList
		err := s.client.List(ctx, &page, client.InNamespace(naming.SystemNamespace), client.HasLabels{recordLabel},
			client.Limit(pruneSize), client.Continue(next))
		cancel()
		if err != nil {
			return pruned, fmt.Errorf("listing ended operations: %w", err)
		}
		for i := range page.Items {
			var record Record
			if json.Unmarshal([]byte(page.Items[i].Data[recordKey]), &record) == nil && record.EndTime.After(before) {
				continue
			}
			if err := s.drop(&page.Items[i]); err != nil {
				return pruned, err
			}
			pruned++
		}
		if next = page.Continue; next == "" {
			return pruned, nil
		}
	}
}

func (s *Shared) drop(record *corev1.ConfigMap) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := s.client.Delete(ctx, record); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("dropping %s: %w", record.Name, err)
	}
	return nil
}
