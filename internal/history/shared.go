package history

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
	// pageSize is how many records are read at once.
	pageSize = 500
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
	err = s.pages(func(stored []corev1.ConfigMap) error {
		for i := range stored {
			var record Record
			if json.Unmarshal([]byte(stored[i].Data[recordKey]), &record) == nil && record.EndTime.After(before) {
				continue
			}
			if err := s.drop(&stored[i]); err != nil {
				return err
			}
			pruned++
		}
		return nil
	})
	return pruned, err
}

// Moments are those that a query selects. next is the key to go on before, ""
// once there are none left. Every call reads all records, page by page: the
// management API has no order of time.
func (s *Shared) Moments(q Query) (found []Moment, next string, err error) {
	more := false
	err = s.pages(func(stored []corev1.ConfigMap) error {
		for i := range stored {
			var record Record
			if json.Unmarshal([]byte(stored[i].Data[recordKey]), &record) != nil {
				continue // pruning drops it
			}
			for _, moment := range record.Moments() {
				if q.Spans(moment) && q.Wanted(moment) {
					found = append(found, moment)
				}
			}
		}
		slices.SortFunc(found, func(a, b Moment) int { return strings.Compare(b.Key(), a.Key()) })
		if len(found) > q.Most {
			found, more = found[:q.Most], true
		}
		return nil
	})
	if more && err == nil {
		next = found[q.Most-1].Key()
	}
	return found, next, err
}

// pages hands out all records, as many at a time as a list brings.
func (s *Shared) pages(visit func([]corev1.ConfigMap) error) error {
	next := ""
	for {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		var page corev1.ConfigMapList
		err := s.client.List(ctx, &page, client.InNamespace(naming.SystemNamespace), client.HasLabels{recordLabel},
			client.Limit(pageSize), client.Continue(next))
		cancel()
		if err != nil {
			return fmt.Errorf("listing ended operations: %w", err)
		}
		if err := visit(page.Items); err != nil {
			return err
		}
		if next = page.Continue; next == "" {
			return nil
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
