package agent

import (
	"context"
	"errors"
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/backup/vault"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/pki"
)

// replace carries out the restore that a control plane has before it, once
// nothing but its etcd runs. Whatever is killed on the way begins again; the
// API server starts only after the end is on record.
func (r *controlPlaneReconciler) replace(ctx context.Context, object *containerservice.ControlPlane, desired controlplane.Desired) condition.Outcome {
	desired.DatastoreOnly = true
	status, err := r.Runtime.Ensure(ctx, desired)
	if err != nil {
		return condition.Failed(err)
	}
	if !status.DatastoreOnly {
		return condition.Waiting("before the restore: " + status.Message)
	}
	var wanted containerservice.Backup
	if err := r.client.Get(ctx, client.ObjectKey{Name: object.Spec.Restore.BackupName}, &wanted); client.IgnoreNotFound(err) != nil {
		return condition.Failed(err)
	} else if err != nil {
		return r.unrestored(object, &meta.Failure{Code: codeNotRestorable, Message: "the backup is gone"})
	}
	ring, err := readRing(ctx, r.client)
	if err != nil {
		return condition.Failed(err)
	}
	endpoint := datastoreEndpoint(desired.Datastore(), desired.NetworkNamespace, desired.Credentials)
	to := vault.Restoration{
		To: datastore.Range{Prefix: desired.EtcdPrefix}, Incarnation: desired.ID, EncryptionKey: desired.Credentials[pki.EncryptionKey],
	}
	id := wanted.Spec.Incarnation
	done, revision, err := r.jobs.Do("restore/"+object.Spec.Restore.ID, func(ctx context.Context) (int64, error) {
		changes, err := r.Backups.RestoreTo(ctx, id, ring, endpoint, to)
		return changes.Revision, err
	})
	switch {
	case !done:
		return condition.Waiting("restoring the backup " + object.Spec.Restore.BackupName)
	case err == nil:
		return r.restored(object, revision, nil)
	case finalCode(err) != "":
		return r.unrestored(object, &meta.Failure{Code: finalCode(err), Message: err.Error()})
	default:
		return condition.Failed(err)
	}
}

// unrestored gives a restore up that no repetition mends: the API server starts
// on the data that are there, unless a later version wrote them.
func (r *controlPlaneReconciler) unrestored(object *containerservice.ControlPlane, failure *meta.Failure) condition.Outcome {
	if object.Spec.Restore.Required {
		return condition.Outcome{Reason: failure.Code, Message: "the API server cannot start on data of a later version, and restoring the backup failed: " +
			failure.Message + ". Restore another backup of the cluster in place."}
	}
	return r.restored(object, 0, failure)
}

// restored puts the end on record; the next look starts the API server.
func (r *controlPlaneReconciler) restored(object *containerservice.ControlPlane, revision int64, failure *meta.Failure) condition.Outcome {
	object.Status.Restore = &containerservice.RestoreStatus{
		ID: object.Spec.Restore.ID, Time: metav1.NewTime(r.Clock.Now()), Revision: revision, Failure: failure,
	}
	return condition.Waiting("the API server is about to start")
}

// datastoreOf is the etcd of a control plane that runs.
func (r *backupReconciler) datastoreOf(ctx context.Context, plane *containerservice.ControlPlane, credentials map[string][]byte) (datastore.Endpoint, error) {
	address, err := netip.ParseAddr(plane.Spec.Address)
	if err != nil {
		return datastore.Endpoint{}, err
	}
	if !containerservice.ConditionTrue(plane.Status.Conditions, containerservice.ConditionNetworkReady) {
		return datastore.Endpoint{}, errors.New("waiting for the network of the control plane")
	}
	namespace, err := r.Fabric.EnsureEndpoint(ctx, network.Endpoint{ID: plane.Spec.Incarnation, Address: address})
	if err != nil {
		return datastore.Endpoint{}, err
	}
	return datastoreEndpoint(controlplane.Desired{Address: address}.Datastore(), namespace, credentials), nil
}
