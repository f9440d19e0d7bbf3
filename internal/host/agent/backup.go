package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/backup/vault"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// Backups keeps the files of backups on this host.
type Backups interface {
	// TakeFrom takes a backup; one that is there already stays.
	TakeFrom(ctx context.Context, id string, from datastore.Endpoint, ring *backup.Keyring, of vault.Content) (backup.Header, error)
	// Verify restores a backup into a scratch etcd and compares.
	Verify(ctx context.Context, id string, ring *backup.Keyring, etcd string) (backup.Header, backup.Summary, error)
	// RestoreTo replaces the data of a cluster whose API server does not run.
	RestoreTo(ctx context.Context, id string, ring *backup.Keyring, endpoint datastore.Endpoint, to vault.Restoration) (datastore.Changes, error)
	// Header and Size say what a file is; fs.ErrNotExist without one.
	Header(id string) (backup.Header, error)
	Size(id string) (int64, error)
	// List names every backup of which anything is left.
	List() ([]string, error)
	// Remove removes a file and what is left of one.
	Remove(ctx context.Context, id string) error
}

// The codes of backups and restores that failed.
const (
	codeNoSpace       = "InsufficientStorage"
	codeDamaged       = "BackupDamaged"
	codeUnknownKey    = "BackupKeyNotHeld"
	codeTimedOut      = condition.CodeTimedOut
	codeNotRestorable = "BackupNotRestorable"
)

// backupReconciler takes, checks and removes the backups that are bound to the host.
type backupReconciler struct {
	Dependencies
	client client.Client
	jobs   *jobs
}

func (r *backupReconciler) register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("host-backup").
		For(&containerservice.Backup{}).
		WithOptions(options()).
		Complete(r)
}

// Reconcile brings one backup a step on.
func (r *backupReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object containerservice.Backup
	if err := r.client.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if object.Spec.HostName != r.HostName {
		return ctrl.Result{}, nil
	}
	if !object.DeletionTimestamp.IsZero() {
		return settled(r.remove(ctx, &object))
	}
	if object.Status.Failure != nil || containerservice.ConditionTrue(object.Status.Conditions, containerservice.ConditionReady) {
		return ctrl.Result{}, nil
	}
	if err := ensureFinalizer(ctx, r.client, &object, containerservice.BackupFinalizer); err != nil {
		return settled(ctrl.Result{}, err)
	}
	before := object.DeepCopy()
	stored := r.store(ctx, &object)
	verified := condition.Waiting("waiting for the file")
	if stored.True {
		verified = r.verify(ctx, &object)
	}
	ready := stored
	if stored.True {
		ready = verified
	}
	if !ready.True && object.Status.Failure == nil && r.Clock.Now().After(object.Spec.Deadline.Time) {
		object.Status.Failure = &meta.Failure{Code: codeTimedOut, Message: "the backup was not there by its deadline: " + ready.Message}
	}
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionStored, stored)
	stamp.Set(&object.Status.Conditions, containerservice.ConditionVerified, verified)
	stamp.Set(&object.Status.Conditions, containerservice.ConditionReady, ready)
	if object.Status.Failure != nil { // what failed leaves nothing behind
		if err := r.Backups.Remove(ctx, object.Spec.Incarnation); err != nil {
			return ctrl.Result{}, err
		}
	}
	result := ctrl.Result{RequeueAfter: deleting}
	if ready.Reason == condition.ReasonError {
		result.RequeueAfter = retry
	}
	if ready.True || object.Status.Failure != nil {
		result = ctrl.Result{}
	}
	return settled(result, patchStatus(ctx, r.client, before, &object))
}

// store makes the file be there.
func (r *backupReconciler) store(ctx context.Context, object *containerservice.Backup) condition.Outcome {
	id := object.Spec.Incarnation
	header, err := r.Backups.Header(id)
	switch {
	case err == nil && !r.jobs.Runs("take/"+id):
		size, err := r.Backups.Size(id)
		if err != nil {
			return condition.Failed(err)
		}
		began := metav1.NewTime(header.Time)
		object.Status.ClusterID, object.Status.KubernetesVersion = header.ClusterID, header.KubernetesVersion
		object.Status.Revision, object.Status.Keys, object.Status.KeyID = header.Revision, header.Keys, header.KeyID
		object.Status.SizeBytes, object.Status.Time = size, &began
		return condition.True("the file is on the disk")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fail(object, err)
	case object.Spec.Origin == containerservice.BackupUploaded:
		return condition.Waiting("waiting for the upload")
	}
	from, content, err := r.source(ctx, object)
	if err != nil {
		return condition.Waiting(err.Error())
	}
	ring, err := readRing(ctx, r.client)
	if err != nil {
		return condition.Failed(err)
	}
	done, _, err := r.jobs.Do("take/"+id, func(ctx context.Context) (int64, error) {
		header, err := r.Backups.TakeFrom(ctx, id, from, ring, content)
		return header.Revision, err
	})
	if done && err != nil {
		return fail(object, err)
	}
	return condition.Waiting("reading the cluster's keys")
}

// verify checks the file.
func (r *backupReconciler) verify(ctx context.Context, object *containerservice.Backup) condition.Outcome {
	ring, err := readRing(ctx, r.client)
	if err != nil {
		return condition.Failed(err)
	}
	etcd := r.etcd(object.Status.KubernetesVersion)
	if etcd == "" {
		return condition.Waiting("waiting for a release to be built: there is no etcd to check the backup with")
	}
	id := object.Spec.Incarnation
	done, bytes, err := r.jobs.Do("verify/"+id, func(ctx context.Context) (int64, error) {
		_, summary, err := r.Backups.Verify(ctx, id, ring, etcd)
		return summary.Bytes, err
	})
	switch {
	case done && err != nil:
		return fail(object, err)
	case !done:
		return condition.Waiting("restoring the backup into a scratch etcd to check it")
	}
	object.Status.DataBytes = bytes
	return condition.True("the backup was restored into a scratch etcd and read back")
}

// etcd is the program of a version, or of any other that is built.
func (r *backupReconciler) etcd(version string) string {
	for _, v := range append([]string{version}, r.Versions...) {
		if artifacts, ok := r.Releases.Lookup(v); ok && artifacts.Binaries["etcd"] != "" {
			return artifacts.Binaries["etcd"]
		}
	}
	return ""
}

// fail decides whether an error is final, and tells it.
func fail(object *containerservice.Backup, err error) condition.Outcome {
	if code := finalCode(err); code != "" {
		object.Status.Failure = &meta.Failure{Code: code, Message: err.Error()}
		return condition.Outcome{Reason: code, Message: err.Error()}
	}
	return condition.Failed(err)
}

// finalCode is the code of an error that no repetition mends, "" of any other.
func finalCode(err error) string {
	switch {
	case errors.Is(err, vault.ErrNoSpace):
		return codeNoSpace
	case errors.Is(err, backup.ErrUnknownKey):
		return codeUnknownKey
	case errors.Is(err, backup.ErrDamaged), errors.Is(err, backup.ErrUnsupported):
		return codeDamaged
	case errors.Is(err, vault.ErrOlderStore), errors.Is(err, fs.ErrNotExist):
		return codeNotRestorable
	}
	return ""
}

// source is the etcd of the backup's cluster and what the backup is to say of it.
func (r *backupReconciler) source(ctx context.Context, object *containerservice.Backup) (datastore.Endpoint, vault.Content, error) {
	var cluster containerservice.ManagedCluster
	var plane containerservice.ControlPlane
	err := r.client.Get(ctx, client.ObjectKey{Name: object.Spec.ClusterName}, &cluster)
	if err == nil {
		err = r.client.Get(ctx, client.ObjectKey{Name: object.Spec.ClusterIncarnation}, &plane)
	}
	if err != nil {
		return datastore.Endpoint{}, vault.Content{}, fmt.Errorf("waiting for the cluster: %w", err)
	}
	if plane.Spec.PowerState == meta.PowerStopped || plane.Restoring() {
		return datastore.Endpoint{}, vault.Content{}, errors.New("waiting for the cluster to run")
	}
	credentials, err := readCredentials(ctx, r.client, &plane)
	if err != nil {
		return datastore.Endpoint{}, vault.Content{}, err
	}
	endpoint, err := r.datastoreOf(ctx, &plane, credentials)
	if err != nil {
		return endpoint, vault.Content{}, err
	}
	spec, err := json.Marshal(stripped(cluster.Spec))
	if err != nil {
		return endpoint, vault.Content{}, err
	}
	served := plane.Status.Version
	if served == "" {
		return endpoint, vault.Content{}, errors.New("waiting for the API server to say its version")
	}
	return endpoint, vault.Content{Credentials: credentials, Header: backup.Header{
		TenantID: r.TenantID, ClusterID: clusterID(&cluster), Incarnation: plane.Spec.Incarnation, Prefix: plane.Spec.EtcdPrefix,
		KubernetesVersion: served, Time: r.Clock.Now().UTC(), Cluster: spec,
	}}, nil
}

// stripped is what a cluster was asked to be, without what ran.
func stripped(spec containerservice.ManagedClusterSpec) containerservice.ManagedClusterSpec {
	spec.Operations, spec.Aborted, spec.Restore = nil, nil, nil
	return spec
}

func clusterID(cluster *containerservice.ManagedCluster) string {
	return fmt.Sprintf("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.ContainerService/managedClusters/%s",
		cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, cluster.Spec.Name)
}

// remove takes the file away, once nobody works with it.
func (r *backupReconciler) remove(ctx context.Context, object *containerservice.Backup) (ctrl.Result, error) {
	id := object.Spec.Incarnation
	if r.jobs.Runs("take/"+id) || r.jobs.Runs("verify/"+id) {
		return ctrl.Result{RequeueAfter: deleting}, nil
	}
	var planes containerservice.ControlPlaneList
	if err := r.client.List(ctx, &planes); err != nil {
		return ctrl.Result{}, err
	}
	for i := range planes.Items { // half of it may be restored already: the other half has to follow
		if plane := &planes.Items[i]; plane.Restoring() && plane.Spec.Restore.BackupName == object.Name {
			return ctrl.Result{RequeueAfter: deleting}, nil
		}
	}
	if err := r.Backups.Remove(ctx, id); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, removeFinalizer(ctx, r.client, object, containerservice.BackupFinalizer)
}

// readRing reads the service keys.
func readRing(ctx context.Context, c client.Client) (*backup.Keyring, error) {
	var secret corev1.Secret
	if err := c.Get(ctx, client.ObjectKey{Namespace: naming.SystemNamespace, Name: backup.SecretName}, &secret); err != nil {
		return nil, fmt.Errorf("reading the backup keys: %w", err)
	}
	return backup.FromSecret(secret.Data)
}

// readCredentials reads the CAs, keys and certificates of a control plane.
func readCredentials(ctx context.Context, c client.Client, plane *containerservice.ControlPlane) (map[string][]byte, error) {
	var secret corev1.Secret
	if err := c.Get(ctx, client.ObjectKey{Namespace: naming.SystemNamespace, Name: plane.Spec.CredentialsName}, &secret); err != nil {
		return nil, fmt.Errorf("reading the cluster's credentials: %w", err)
	}
	return secret.Data, nil
}

// datastoreEndpoint is how Berth reaches an etcd with a cluster's credentials.
func datastoreEndpoint(address, namespace string, credentials map[string][]byte) datastore.Endpoint {
	return datastore.Endpoint{
		Address: address, Namespace: namespace, CA: credentials[pki.EtcdCACert],
		Certificate: credentials[pki.EtcdClientCert], Key: credentials[pki.EtcdClientKey],
	}
}
