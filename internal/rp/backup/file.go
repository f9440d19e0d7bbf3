package backup

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	format "berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/vault"
	"berth.dev/berth/internal/naming"
)

// transferTime is how long a file may be on its way, maxUpload how large it may be.
const (
	transferTime = 15 * time.Minute
	maxUpload    = 4 << 30
)

// ready reads the backup of the path and refuses one that is not whole and checked.
func (p *Provider) ready(r *arm.Request) (*containerservicev1alpha1.Backup, error) {
	found, err := p.find(r)
	if err != nil {
		return nil, err
	}
	if state := found.DeriveProvisioningState(); state != containerservicev1alpha1.StateSucceeded {
		return nil, arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"The backup '%s' is %s. Only a backup that has Succeeded can be used.", found.Spec.Name, state)
	}
	return found, nil
}

// download sends the file as it is: encrypted, readable by a service that holds the key.
func (p *Provider) download(w http.ResponseWriter, r *arm.Request) error {
	found, err := p.ready(r)
	if err != nil {
		return err
	}
	if found.Status.ClusterID != "" && found.Spec.Origin == containerservicev1alpha1.BackupOfCluster {
		if err := p.allowed(r, actionBackUp, found.Status.ClusterID); err != nil {
			return err
		}
	}
	file, err := p.Files.Open(found.Spec.Incarnation)
	if errors.Is(err, fs.ErrNotExist) {
		return arm.NewError(http.StatusConflict, "BackupFileLost", "The file of the backup '%s' is no longer on its host's disk. Delete the backup.", found.Spec.Name)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(transferTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	w.WriteHeader(http.StatusOK)
	// A client that went away is no error of the request, and finds the length short.
	_, _ = io.Copy(w, file)
	return nil
}

// upload takes a file that was downloaded here or from a service with the same
// key. It is read to its end before it counts as a backup; one that does not
// pass leaves nothing behind.
func (p *Provider) upload(w http.ResponseWriter, r *arm.Request) error {
	if r.ContentLength > maxUpload {
		return tooLarge()
	}
	control := http.NewResponseController(w)
	until := time.Now().Add(transferTime)
	if err := errors.Join(control.SetReadDeadline(until), control.SetWriteDeadline(until)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	ring, err := p.ring(r.Context())
	if err != nil {
		return err
	}
	made, err := p.create(r, containerservicev1alpha1.BackupSpec{Origin: containerservicev1alpha1.BackupUploaded})
	if err != nil {
		return err
	}
	if err := p.receive(r.Request, w, made, ring); err != nil {
		// The object goes first: its host removes the file, now or after a kill.
		ctx := context.WithoutCancel(r.Context())
		return errors.Join(err, client.IgnoreNotFound(p.Client.Delete(ctx, made)))
	}
	return arm.WriteJSON(w, http.StatusCreated, newBody(made))
}

// receive stores the file; it appears only once it was read to its end and passed.
func (p *Provider) receive(r *http.Request, w http.ResponseWriter, made *containerservicev1alpha1.Backup, ring *format.Keyring) error {
	err := p.Files.Receive(made.Spec.Incarnation, http.MaxBytesReader(w, r.Body, maxUpload), func(file io.Reader) error {
		header, _, err := format.Check(file, ring)
		if err == nil && header.TenantID != p.TenantID && !ring.Adopts(header.KeyID, header.TenantID) {
			err = arm.NewError(http.StatusForbidden, "BackupOfAnotherTenant",
				"The backup is of a cluster of the tenant '%s', and this is '%s'. Nothing was stored. An operator can take that service's keys in with 'berth admin backup-key import'.", header.TenantID, p.TenantID)
		}
		return err
	})
	var limit *http.MaxBytesError
	var answer *arm.Error
	switch {
	case errors.As(err, &limit):
		return tooLarge()
	case errors.As(err, &answer):
		return answer
	case errors.Is(err, vault.ErrNoSpace):
		return arm.NewError(http.StatusInsufficientStorage, "InsufficientStorage", "The disk of the service has no room for the backup. Nothing was stored.")
	}
	return unusable(err)
}

func tooLarge() error {
	return arm.NewError(http.StatusRequestEntityTooLarge, "RequestContentTooLarge", "A backup may have up to %d bytes.", int64(maxUpload))
}

// unusable tells why a file is no backup that this service can use.
func unusable(err error) error {
	switch {
	case errors.Is(err, format.ErrUnknownKey):
		return arm.NewError(http.StatusConflict, "BackupKeyNotHeld",
			"%s. Only the service that wrote the backup, or one that holds its key, can use it: its operator exports the key with 'berth admin backup-key export', and this one's takes it in with 'berth admin backup-key import'. Nothing was changed.", capital(err))
	case errors.Is(err, format.ErrDamaged), errors.Is(err, format.ErrUnsupported):
		return arm.NewError(http.StatusBadRequest, "BackupDamaged", "%s. Nothing was changed: download it once more.", capital(err))
	}
	return err
}

func capital(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// restore replaces the data of the backup's own cluster, or makes a new one.
func (p *Provider) restore(w http.ResponseWriter, r *arm.Request) error {
	if err := r.ReadBody(w); err != nil {
		return err
	}
	var request struct {
		ClusterID  string `json:"clusterId"`
		New        bool   `json:"new"`
		AcceptLoss bool   `json:"acceptLoss"`
	}
	if err := decode(r.Body, []arm.Property{
		{Path: "clusterId", Kind: arm.String}, {Path: "new", Kind: arm.Boolean}, {Path: "acceptLoss", Kind: arm.Boolean},
	}, &request); err != nil {
		return err
	}
	found, err := p.ready(r)
	if err != nil {
		return err
	}
	header, err := p.usable(r.Context(), found)
	if err != nil {
		return err
	}
	if request.ClusterID == "" {
		request.ClusterID = header.ClusterID
	}
	id, err := arm.ParseResourceID(request.ClusterID)
	if err != nil || !strings.EqualFold(id.Type(), "Microsoft.ContainerService/managedClusters") || !strings.EqualFold(id.SubscriptionID, r.Param("subscriptionID")) {
		return arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter, "clusterId has to be the id of a managed cluster of the same subscription.").At("clusterId")
	}
	if err := p.allowed(r, actionRestore, id.String()); err != nil {
		return err
	}
	wish := containerservicev1alpha1.Restore{ID: uuid.NewString(), BackupName: found.Name}
	if request.New {
		var spec containerservicev1alpha1.ManagedClusterSpec
		if err := json.Unmarshal(header.Cluster, &spec); err != nil {
			return arm.NewError(http.StatusConflict, "BackupDamaged", "The backup does not say what its cluster was.")
		}
		return p.Clusters.RestoreNew(w, r, id, spec, wish)
	}
	if err := p.admitInPlace(r, id, header, request.AcceptLoss); err != nil {
		return err
	}
	return p.Clusters.Restore(w, r, id, wish, header.KubernetesVersion)
}

// admitInPlace decides whether the data of a cluster that is there may be replaced.
func (p *Provider) admitInPlace(r *arm.Request, id arm.ResourceID, header format.Header, acceptLoss bool) error {
	cluster, err := p.Clusters.Cluster(r.Context(), id)
	if err != nil {
		return err
	}
	if cluster == nil {
		return arm.ResourceNotFound(id)
	}
	if cluster.Spec.Incarnation != header.Incarnation {
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"The managed cluster '%s' is not the one that the backup is of, even if it has its name. Restore to a new cluster: set new to true and name one that is not there.", id.Name()).At("clusterId")
	}
	if !acceptLoss {
		return arm.NewError(http.StatusConflict, "DataLossNotAccepted",
			"Restoring the backup in place loses %s. Set acceptLoss to true to restore all the same.",
			p.Clusters.Loss(r.Context(), cluster, header.Time, header.Revision)).At("acceptLoss")
	}
	return nil
}

// Whole reads a backup to its end and says what is wrong with it.
func (p *Provider) Whole(ctx context.Context, found *containerservicev1alpha1.Backup) error {
	if _, err := p.usable(ctx, found); err != nil {
		return err
	}
	ring, err := p.ring(ctx)
	if err != nil {
		return err
	}
	file, err := p.Files.Open(found.Spec.Incarnation)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, _, err := format.Check(file, ring); err != nil {
		return unusable(err)
	}
	return nil
}

// usable reads the header of a backup whose key is held.
func (p *Provider) usable(ctx context.Context, found *containerservicev1alpha1.Backup) (format.Header, error) {
	file, err := p.Files.Open(found.Spec.Incarnation)
	if errors.Is(err, fs.ErrNotExist) {
		return format.Header{}, arm.NewError(http.StatusConflict, "BackupFileLost", "The file of the backup '%s' is no longer on its host's disk. Delete the backup.", found.Spec.Name)
	}
	if err != nil {
		return format.Header{}, err
	}
	defer file.Close()
	ring, err := p.ring(ctx)
	if err != nil {
		return format.Header{}, err
	}
	// With its beginning the header is authenticated; the host reads all of it before it writes.
	reader, err := format.NewReader(file, ring)
	if err != nil {
		return format.Header{}, unusable(err)
	}
	defer reader.Close()
	return reader.Header, nil
}

// ring reads the service keys.
func (p *Provider) ring(ctx context.Context) (*format.Keyring, error) {
	var secret corev1.Secret
	if err := p.Client.Get(ctx, client.ObjectKey{Namespace: naming.SystemNamespace, Name: format.SecretName}, &secret); err != nil {
		return nil, err
	}
	return format.FromSecret(secret.Data)
}
