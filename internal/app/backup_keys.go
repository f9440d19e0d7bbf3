package app

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/naming"
)

// keysTimeout is how long the management API has to answer what is asked about keys.
const keysTimeout = 30 * time.Second

// BackupKeys are the keys that the backups of an install are wrapped with.
type BackupKeys struct {
	client   client.Client
	tenantID string
}

// BackupKey is one of them, as an operator sees it.
type BackupKey struct {
	ID       string `json:"id"`
	Current  bool   `json:"current"`
	TenantID string `json:"tenantId"`
	// Backups counts those here that only this key opens.
	Backups int `json:"backups"`
}

// OpenBackupKeys reaches the keys of the install in a home, whose management API
// has to run; the daemon need not.
func OpenBackupKeys(h home.Home) (*BackupKeys, error) {
	config, err := managementConfig(h)
	if err != nil {
		return nil, fmt.Errorf("reaching the management API: %w", err)
	}
	config.Timeout = keysTimeout
	who, err := cloud.Load(h.CloudFile())
	if err != nil {
		return nil, fmt.Errorf("reading the tenant of the install: %w", err)
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: newMapper(scheme)})
	return &BackupKeys{client: c, tenantID: who.TenantID}, err
}

func (k *BackupKeys) read(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := k.client.Get(ctx, client.ObjectKey{Namespace: naming.SystemNamespace, Name: backup.SecretName}, secret); err != nil {
		return nil, fmt.Errorf("reading the backup keys: %w", err)
	}
	return secret, nil
}

// change writes the keys as change has them, all at once, under the version that was read.
func (k *BackupKeys) change(ctx context.Context, change func(content map[string][]byte) (map[string][]byte, error)) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		secret, err := k.read(ctx)
		if err != nil {
			return err
		}
		next, err := change(secret.Data)
		if err != nil || maps.EqualFunc(next, secret.Data, func(a, b []byte) bool { return string(a) == string(b) }) {
			return err
		}
		secret.Data = next
		return k.client.Update(ctx, secret)
	})
}

// List are the keys, the current one first.
func (k *BackupKeys) List(ctx context.Context) ([]BackupKey, error) {
	keys, err := k.Export(ctx)
	if err != nil {
		return nil, err
	}
	var backups containerservice.BackupList
	if err := k.client.List(ctx, &backups); err != nil {
		return nil, fmt.Errorf("counting the backups of each key: %w", err)
	}
	of := map[string]int{}
	for i := range backups.Items {
		of[backups.Items[i].Status.KeyID]++
	}
	var shown []BackupKey
	for _, key := range keys {
		shown = append(shown, BackupKey{ID: key.ID, Current: key.Current, TenantID: key.TenantID, Backups: of[key.ID]})
	}
	return shown, nil
}

// Export are the keys with what is secret of them.
func (k *BackupKeys) Export(ctx context.Context) ([]backup.PortableKey, error) {
	secret, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	return backup.Keys(secret.Data, k.tenantID)
}

// Import adds keys of another service, which from then on open backups that it
// wrote, and answers those that were not here before.
func (k *BackupKeys) Import(ctx context.Context, keys []backup.PortableKey) (added []backup.PortableKey, err error) {
	err = k.change(ctx, func(content map[string][]byte) (next map[string][]byte, err error) {
		next, added, err = backup.WithKeys(content, k.tenantID, keys)
		return next, err
	})
	return added, err
}

// Rotate makes a new key that wraps what is backed up from now on. The others stay.
func (k *BackupKeys) Rotate(ctx context.Context) error {
	return k.change(ctx, backup.Rotated)
}
