package app

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/naming"
)

// ensureBackupKeys makes the key that backups are wrapped with, once.
func ensureBackupKeys(ctx context.Context, c client.Client) error {
	err := c.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: backup.SecretName}, Data: backup.NewSecret(),
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the backup key: %w", err)
	}
	return nil
}
