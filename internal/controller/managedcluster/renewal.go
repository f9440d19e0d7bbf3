package managedcluster

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"berth.dev/berth/internal/pki"
)

// renewal keeps the leaves of clusters' PKIs valid. What it saw of a Secret it
// remembers: certificates are verified once, not at every look at a cluster.
type renewal struct {
	config Config

	mu   sync.Mutex
	seen map[string]looked
}

// looked is what was seen of a cluster's Secret.
type looked struct {
	version string
	// earliest ends first, due is when the first is to be issued anew.
	earliest pki.Expiry
	due      time.Time
}

// keep issues leaves anew that are about to expire, or have, and says which ends
// first and when the next is due.
func (r *renewal) keep(ctx context.Context, s *scope, found *corev1.Secret) (*corev1.Secret, looked, error) {
	if known := r.last(s.incarnation()); known.version == found.ResourceVersion && s.now.Before(known.due) {
		return found, known, nil
	}
	names, err := s.names(r.config.Zone)
	if err != nil {
		return nil, looked{}, err
	}
	files, changed, err := pki.Renewed(found.Data, names, s.now)
	if err != nil {
		return nil, looked{}, err
	}
	if len(changed) > 0 {
		next := found.DeepCopy()
		next.Data = files
		if err := r.config.Client.Update(ctx, next); err != nil {
			return nil, looked{}, err
		}
		found = next
	}
	expiries, err := pki.Expiries(found.Data)
	if err != nil {
		return nil, looked{}, err
	}
	now := looked{version: found.ResourceVersion, earliest: expiries[0], due: expiries[0].RenewAt}
	for _, expiry := range expiries {
		if expiry.RenewAt.Before(now.due) {
			now.due = expiry.RenewAt
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[s.incarnation()] = now
	return found, now, nil
}

func (r *renewal) last(incarnation string) looked {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[incarnation]
}
