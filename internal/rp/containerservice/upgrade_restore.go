package containerservice

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/upgrade"
)

// Backups is where the provider looks at a backup before it restores one.
type Backups interface {
	// Whole reads a backup to its end and says what is wrong with it.
	Whole(ctx context.Context, backup *containerservicev1alpha1.Backup) error
}

// revisionTime is how long the API server may take to say its revision.
const revisionTime = 3 * time.Second

// readAcceptLoss reads the optional body of a rollback.
func readAcceptLoss(w http.ResponseWriter, r *arm.Request) (bool, error) {
	if err := r.ReadBody(w); err != nil || len(r.Body) == 0 {
		return false, err
	}
	schema, err := arm.NewSchema([]arm.Property{{Path: "acceptLoss", Kind: arm.Boolean}})
	if err != nil {
		return false, err
	}
	fields := &arm.FieldErrors{}
	body, err := schema.Read(r.Body, fields)
	if err != nil {
		return false, err
	}
	if err := fields.Err(); err != nil {
		return false, err
	}
	var request struct {
		AcceptLoss bool `json:"acceptLoss"`
	}
	return request.AcceptLoss, body.Decode(&request)
}

// backupBefore is the backup that was taken before an upgrade, nil if there is none any more.
func (p *Provider) backupBefore(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster) (*containerservicev1alpha1.Backup, error) {
	if u := cluster.Spec.Upgrade; u == nil || u.BackupName == "" || p.Backups == nil {
		return nil, nil //nolint:nilnil // none is an answer
	}
	var backup containerservicev1alpha1.Backup
	err := p.Client.Get(ctx, client.ObjectKey{Name: cluster.Spec.Upgrade.BackupName}, &backup)
	if err != nil || backup.DeriveProvisioningState() != containerservicev1alpha1.StateSucceeded || backup.Status.Time == nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &backup, nil
}

// beforeUpgrade shows the backup that was taken before an upgrade, with what
// restoring it would lose.
func (p *Provider) beforeUpgrade(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster) object {
	backup, err := p.backupBefore(ctx, cluster)
	if err != nil || backup == nil {
		return nil
	}
	shown := object{"time": backup.Status.Time.UTC().Format(time.RFC3339), "revision": backup.Status.Revision, "keys": backup.Status.Keys}
	if now := p.revision(ctx, cluster); now > 0 {
		shown["currentRevision"] = now
	}
	return shown
}

// revision is that of the cluster's store now, 0 if its API server does not answer.
func (p *Provider) revision(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster) int64 {
	ctx, cancel := context.WithTimeout(ctx, revisionTime)
	defer cancel()
	dial := p.DialTenant
	if dial == nil {
		dial = p.dialTenant
	}
	reader, hangUp, err := dial(ctx, cluster)
	if err != nil {
		return 0
	}
	defer hangUp()
	var nodes corev1.NodeList
	if err := reader.List(ctx, &nodes, client.Limit(1)); err != nil {
		return 0
	}
	revision, err := strconv.ParseInt(nodes.ResourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return revision
}

// Loss says what a cluster loses that goes back to a time and a revision.
func (p *Provider) Loss(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, since time.Time, revision int64) string {
	lost := fmt.Sprintf("everything that was written to the managed cluster '%s' since %s, which is all after revision %d",
		cluster.Spec.Name, since.UTC().Format(time.RFC3339), revision)
	if now := p.revision(ctx, cluster); now > revision {
		lost += fmt.Sprintf(" (%d revisions, up to %d now)", now-revision, now)
	}
	return lost
}

// restoreBefore takes a lifted upgrade back: the version and the data are again
// those from before it. Both are one write, and the host starts neither version
// in between.
func (p *Provider) restoreBefore(w http.ResponseWriter, r *arm.Request, cluster *containerservicev1alpha1.ManagedCluster, acceptLoss bool) error {
	if err := admitVerb(cluster, meta.ScopeCluster, meta.VerbRollback); err != nil {
		return err
	}
	backup, err := p.backupBefore(r.Context(), cluster)
	if err != nil {
		return err
	}
	u := cluster.Spec.Upgrade
	if backup == nil {
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"Operation is not allowed: the managed cluster '%s' cannot be rolled back: its control plane serves Kubernetes %s already, and the backup that was taken before the upgrade is no longer there.", cluster.Spec.Name, u.ToVersion)
	}
	if !acceptLoss {
		return arm.NewError(http.StatusConflict, "DataLossNotAccepted",
			"The control plane of the managed cluster '%s' serves Kubernetes %s already, and may have stored what %s cannot read. It can go back only with the data from before the upgrade, which loses %s. Set acceptLoss to true, or say --accept-loss, to do so all the same.",
			cluster.Spec.Name, u.ToVersion, u.FromVersion, p.Loss(r.Context(), cluster, backup.Status.Time.Time, backup.Status.Revision)).At("acceptLoss")
	}
	if err := p.Backups.Whole(r.Context(), backup); err != nil {
		return err
	}
	d := &draft{old: cluster, next: cluster.DeepCopy()}
	d.next.Spec.RollBack()
	for i := range d.next.Spec.AgentPools { // a node may not be ahead of its API server, whoever upgraded it
		if pool := &d.next.Spec.AgentPools[i]; upgrade.Less(u.FromVersion, pool.OrchestratorVersion) {
			pool.OrchestratorVersion, pool.PreviousOrchestratorVersion = u.FromVersion, ""
		}
	}
	d.next.Spec.Upgrade = nil
	d.next.Spec.Restore = &containerservicev1alpha1.Restore{ID: uuid.NewString(), BackupName: backup.Name, Required: true}
	id, err := p.write(r.Context(), r, d, meta.ScopeCluster, meta.VerbRollback)
	return p.accepted(w, r, id, err)
}
