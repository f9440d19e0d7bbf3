package backup

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/resources"
)

// timeout is how long a backup may take, its check included.
const timeout = 30 * time.Minute

// maxPerGroup bounds the backups of one resource group: each is a file on a disk.
const maxPerGroup = 100

type properties struct {
	ProvisioningState string        `json:"provisioningState"`
	ClusterID         string        `json:"clusterId,omitempty"`
	Origin            string        `json:"origin"`
	Schedule          string        `json:"schedule,omitempty"`
	Time              string        `json:"time,omitempty"`
	KubernetesVersion string        `json:"kubernetesVersion,omitempty"`
	Revision          int64         `json:"revision,omitempty"`
	Keys              int64         `json:"keys,omitempty"`
	SizeBytes         int64         `json:"sizeBytes,omitempty"`
	DataBytes         int64         `json:"dataBytes,omitempty"`
	KeyID             string        `json:"keyId,omitempty"`
	Verified          bool          `json:"verified"`
	Phase             string        `json:"phase,omitempty"`
	Message           string        `json:"message,omitempty"`
	Error             *meta.Failure `json:"error,omitempty"`
}

// body is a backup on the wire.
type body struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Properties properties `json:"properties"`
}

func backupID(subscriptionID, group, name string) arm.ResourceID {
	return arm.ResourceID{SubscriptionID: subscriptionID, ResourceGroup: group, Provider: Namespace, Types: []string{"backups"}, Names: []string{name}}
}

func requestID(r *arm.Request) arm.ResourceID {
	return backupID(r.Param("subscriptionID"), r.Param("resourceGroup"), r.Param("backupName"))
}

func newBody(b *containerservicev1alpha1.Backup) body {
	id := backupID(b.Spec.SubscriptionID, b.Spec.ResourceGroup, b.Spec.Name)
	result := body{ID: id.String(), Name: b.Spec.Name, Type: id.Type(), Properties: properties{
		ProvisioningState: b.DeriveProvisioningState(), ClusterID: b.Status.ClusterID, Origin: string(b.Spec.Origin), Schedule: b.Spec.ScheduleName,
		KubernetesVersion: b.Status.KubernetesVersion, Revision: b.Status.Revision, Keys: b.Status.Keys,
		SizeBytes: b.Status.SizeBytes, DataBytes: b.Status.DataBytes, KeyID: b.Status.KeyID, Error: b.Status.Failure,
		Verified: containerservicev1alpha1.ConditionTrue(b.Status.Conditions, containerservicev1alpha1.ConditionVerified),
	}}
	if b.Status.Time != nil {
		result.Properties.Time = b.Status.Time.UTC().Format(time.RFC3339)
	}
	for _, condition := range b.Status.Conditions {
		if condition.Status != metav1.ConditionTrue && condition.Type != containerservicev1alpha1.ConditionReady {
			result.Properties.Phase, result.Properties.Message = condition.Type, condition.Message
			break
		}
	}
	return result
}

// find reads the backup of the path.
func (p *Provider) find(r *arm.Request) (*containerservicev1alpha1.Backup, error) {
	var found containerservicev1alpha1.Backup
	err := p.Client.Get(r.Context(), client.ObjectKey{Name: naming.Object(requestID(r).String())}, &found)
	if apierrors.IsNotFound(err) {
		if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
			return nil, err
		}
		return nil, arm.ResourceNotFound(requestID(r))
	}
	return &found, err
}

func (p *Provider) get(w http.ResponseWriter, r *arm.Request) error {
	found, err := p.find(r)
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, newBody(found))
}

func (p *Provider) list(w http.ResponseWriter, r *arm.Request) error {
	if group := r.Param("resourceGroup"); group != "" {
		if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), group); err != nil {
			return err
		}
	}
	var all containerservicev1alpha1.BackupList
	if err := p.Client.List(r.Context(), &all, client.MatchingLabels{resources.SubscriptionLabel: strings.ToLower(r.Param("subscriptionID"))}); err != nil {
		return err
	}
	bodies := []body{}
	for i := range all.Items {
		if group := r.Param("resourceGroup"); all.Items[i].Spec.Name != "" && (group == "" || strings.EqualFold(group, all.Items[i].Spec.ResourceGroup)) {
			bodies = append(bodies, newBody(&all.Items[i]))
		}
	}
	page, err := arm.Page(r, bodies, func(b body) string { return b.ID })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// put asks for a backup of a cluster. One that is there, or on its way, stays as it
// is, so that a request that is repeated takes no second one; one that failed is tried again.
func (p *Provider) put(w http.ResponseWriter, r *arm.Request) error {
	var request struct {
		Properties struct {
			ClusterID string `json:"clusterId"`
		} `json:"properties"`
	}
	if err := decode(r.Body, backupProperties(), &request); err != nil {
		return err
	}
	id, err := arm.ParseResourceID(request.Properties.ClusterID)
	if err != nil || !strings.EqualFold(id.Type(), "Microsoft.ContainerService/managedClusters") || !strings.EqualFold(id.SubscriptionID, r.Param("subscriptionID")) {
		return arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter,
			"properties.clusterId has to be the id of a managed cluster of the same subscription.").At("properties.clusterId")
	}
	if err := p.allowed(r, actionBackUp, id.String()); err != nil {
		return err
	}
	return resources.RetryConflicts(func() error { return p.ask(w, r, id) })
}

// ask answers with the backup of the name, and asks for one if there is none or
// it failed.
func (p *Provider) ask(w http.ResponseWriter, r *arm.Request, id arm.ResourceID) error {
	known, err := p.find(r)
	if err == nil {
		if known.Spec.ClusterName != naming.Object(id.String()) {
			return arm.NewError(http.StatusConflict, arm.CodeChangeNotAllowed,
				"The backup '%s' is there already and is of another cluster. Choose another name, or delete it first.", known.Spec.Name).At("properties.clusterId")
		}
		if known.Status.Failure == nil || known.DeletionTimestamp != nil {
			return arm.WriteJSON(w, http.StatusOK, newBody(known))
		}
	} else if answer, is := err.(*arm.Error); !is || answer.Status != http.StatusNotFound { //nolint:errorlint // as find returned it
		return err
	}
	cluster, err := p.Clusters.Cluster(r.Context(), id)
	if err != nil {
		return err
	}
	if cluster == nil {
		return arm.ResourceNotFound(id)
	}
	if err := running(cluster); err != nil {
		return err
	}
	if known != nil {
		if err := p.discard(r.Context(), known); err != nil {
			return err
		}
	}
	made, err := p.create(r, containerservicev1alpha1.BackupSpec{
		Origin: containerservicev1alpha1.BackupOfCluster, ClusterName: cluster.Name, ClusterIncarnation: cluster.Spec.Incarnation,
	})
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusCreated, newBody(made))
}

// discard takes a backup that failed away, to make place for another attempt.
// Its host removed what there was of the file before it said so, and has nothing
// left to do that a finalizer would wait for.
func (p *Provider) discard(ctx context.Context, failed *containerservicev1alpha1.Backup) error {
	failed.Finalizers = nil
	if err := p.Client.Update(ctx, failed); err != nil {
		return client.IgnoreNotFound(err)
	}
	return client.IgnoreNotFound(p.Client.Delete(ctx, failed, client.Preconditions{UID: &failed.UID}))
}

// running refuses a backup of a cluster without a datastore to read.
func running(cluster *containerservicev1alpha1.ManagedCluster) error {
	if cluster.DeletionTimestamp == nil && cluster.Spec.PowerState != meta.PowerStopped {
		return nil
	}
	return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"The managed cluster '%s' does not run. A backup is read from its running datastore: start it first.", cluster.Spec.Name)
}

// create stores a backup under the name in the path.
func (p *Provider) create(r *arm.Request, spec containerservicev1alpha1.BackupSpec) (*containerservicev1alpha1.Backup, error) {
	name := r.Param("backupName")
	if !regexp.MustCompile(`^[a-zA-Z0-9]$|^[a-zA-Z0-9][-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9]$`).MatchString(name) {
		return nil, arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter,
			"The name '%.100s' is not that of a backup: up to 63 letters, digits and - _ . between, a letter or digit at both ends.", name).At("backupName")
	}
	spec.SubscriptionID, spec.ResourceGroup, spec.Name = strings.ToLower(r.Param("subscriptionID")), r.Param("resourceGroup"), name
	made, err := p.store(r.Context(), spec, nil)
	if apierrors.IsAlreadyExists(err) {
		return nil, arm.NewError(http.StatusConflict, "ResourceExists", "There is a backup '%s' already. Choose another name, or delete it first.", name)
	}
	return made, err
}

// store writes the object of a backup, before any file is there, if its group
// takes one more. labels are added to its own.
func (p *Provider) store(ctx context.Context, spec containerservicev1alpha1.BackupSpec, labels map[string]string) (*containerservicev1alpha1.Backup, error) {
	if _, err := resources.WritableGroup(ctx, p.Client, spec.SubscriptionID, spec.ResourceGroup); err != nil {
		return nil, err
	}
	group := naming.Object(resources.GroupID(spec.SubscriptionID, spec.ResourceGroup).String())
	var others containerservicev1alpha1.BackupList
	if err := p.Client.List(ctx, &others, client.MatchingLabels{GroupLabel: group}); err != nil {
		return nil, err
	}
	if len(others.Items) >= maxPerGroup {
		return nil, arm.NewError(http.StatusConflict, "QuotaExceeded",
			"The resource group holds %d backups, which is the most. Delete some, or keep them elsewhere after a download.", len(others.Items))
	}
	spec.Incarnation, spec.HostName = naming.Incarnation(), naming.LocalHost
	spec.Deadline = metav1.NewTime(p.Now().Add(timeout))
	made := &containerservicev1alpha1.Backup{
		ObjectMeta: metav1.ObjectMeta{
			Name: naming.Object(backupID(spec.SubscriptionID, spec.ResourceGroup, spec.Name).String()), Finalizers: []string{containerservicev1alpha1.BackupFinalizer},
			Labels: map[string]string{resources.SubscriptionLabel: spec.SubscriptionID, GroupLabel: group},
		},
		Spec: spec,
	}
	maps.Copy(made.Labels, labels)
	return made, p.Client.Create(ctx, made)
}

// GroupLabel is on every backup: the name of its resource group's object.
const GroupLabel = "resources.berth.dev/resource-group"

// delete deletes a backup; the file goes soon after. One that a cluster is being
// restored from stays.
func (p *Provider) delete(w http.ResponseWriter, r *arm.Request) error {
	found, err := p.find(r)
	if answer, is := err.(*arm.Error); is && answer.Status == http.StatusNotFound { //nolint:errorlint // as find returned it
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.unused(r.Context(), found); err != nil {
		return err
	}
	if err := p.Client.Delete(r.Context(), found, client.Preconditions{UID: &found.UID}); client.IgnoreNotFound(err) != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// unused refuses while a cluster is being restored from a backup. Whoever deletes
// it past this check makes the restore fail before it begins, or waits for its end.
func (p *Provider) unused(ctx context.Context, found *containerservicev1alpha1.Backup) error {
	var clusters containerservicev1alpha1.ManagedClusterList
	if err := p.Client.List(ctx, &clusters); err != nil {
		return err
	}
	for i := range clusters.Items {
		cluster := &clusters.Items[i]
		running := cluster.Operation(meta.ScopeCluster)
		if wish := cluster.Spec.Restore; wish == nil || wish.BackupName != found.Name || running == nil || cluster.DeletionTimestamp != nil ||
			running.Verb != meta.VerbRestore && running.Verb != meta.VerbCreate {
			continue
		}
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"The managed cluster '%s' is being restored from the backup '%s', which can be deleted once that operation has ended.", cluster.Spec.Name, found.Spec.Name)
	}
	return nil
}

// allowed is nil if the caller may do an action on something else than the path names.
func (p *Provider) allowed(r *arm.Request, action, scope string) error {
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	return access.Check(action, scope)
}

// backupProperties is what the body of a backup may hold.
func backupProperties() []arm.Property {
	return []arm.Property{
		{Path: "id", Kind: arm.Any, Use: arm.ReadOnly}, {Path: "name", Kind: arm.Any, Use: arm.ReadOnly}, {Path: "type", Kind: arm.Any, Use: arm.ReadOnly},
		{Path: "properties", Kind: arm.Object}, {Path: "properties.clusterId", Kind: arm.String},
	}
}

// decode reads a body against what it may hold.
func decode(raw []byte, may []arm.Property, into any) error {
	schema, err := arm.NewSchema(may)
	if err != nil {
		return err
	}
	fields := &arm.FieldErrors{}
	read, err := schema.Read(raw, fields)
	if err != nil {
		return err
	}
	if err := fields.Err(); err != nil {
		return err
	}
	return read.Decode(into)
}
