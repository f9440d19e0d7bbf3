package backup

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/beside"
	"berth.dev/berth/internal/rp/resources"
)

// maxSchedules is how many backup schedules a cluster may have.
const maxSchedules = 5

// scheduleType is the resource type of backup schedules.
const scheduleType = "managedClusters/backupSchedules"

// scheduleRoutes are those of the schedules by which backups are taken.
func (p *Provider) scheduleRoutes() []arm.Route {
	const (
		all = inGroup + "/managedClusters/{resourceName}/backupSchedules"
		one = all + "/{scheduleName}"
		on  = Namespace + "/" + scheduleType + "/"
	)
	routes := []arm.Route{
		{Method: http.MethodGet, Pattern: all, Action: on + "read", Handle: p.listSchedules},
		{Method: http.MethodGet, Pattern: one, Action: on + "read", Handle: p.getSchedule},
		{Method: http.MethodPut, Pattern: one, Action: on + "write", Handle: p.putSchedule},
		{Method: http.MethodDelete, Pattern: one, Action: on + "delete", Handle: p.deleteSchedule},
	}
	for i := range routes {
		routes[i].Versions = &arm.VersionTable{ResourceType: scheduleType, Location: p.Location, Versions: []string{Version}}
	}
	return routes
}

// clusterOf is the id of the cluster in a schedule's path.
func clusterOf(r *arm.Request) arm.ResourceID {
	return arm.ResourceID{
		SubscriptionID: r.Param("subscriptionID"), ResourceGroup: r.Param("resourceGroup"), Provider: "Microsoft.ContainerService",
		Types: []string{"managedClusters"}, Names: []string{r.Param("resourceName")},
	}
}

// scheduleID is the id of a schedule of a cluster.
func scheduleID(cluster *v1alpha1.ManagedCluster, name string) arm.ResourceID {
	return arm.ResourceID{
		SubscriptionID: cluster.Spec.SubscriptionID, ResourceGroup: cluster.Spec.ResourceGroup, Provider: Namespace,
		Types: []string{"managedClusters", "backupSchedules"}, Names: []string{cluster.Spec.Name, name},
	}
}

func scheduleName(r *arm.Request) string { return strings.ToLower(r.Param("scheduleName")) }

// scheduledCluster is the cluster in the path of a schedule.
func (p *Provider) scheduledCluster(r *arm.Request) (*v1alpha1.ManagedCluster, error) {
	cluster, err := p.Clusters.Cluster(r.Context(), clusterOf(r))
	if err == nil && cluster == nil {
		if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
			return nil, err
		}
		err = arm.ResourceNotFound(clusterOf(r))
	}
	return cluster, err
}

// schedules are those of a cluster.
func (p *Provider) schedules(ctx context.Context, cluster *v1alpha1.ManagedCluster) ([]v1alpha1.BackupSchedule, error) {
	var list v1alpha1.BackupScheduleList
	if err := p.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.BackupScheduleClusterLabel: cluster.Name}); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(s v1alpha1.BackupSchedule) bool { return !s.Of(cluster) }), nil
}

// schedule reads the object of a name, nil if there is none. It may be of a
// former cluster.
func (p *Provider) schedule(ctx context.Context, cluster *v1alpha1.ManagedCluster, name string) (*v1alpha1.BackupSchedule, error) {
	found := &v1alpha1.BackupSchedule{}
	err := p.Client.Get(ctx, client.ObjectKey{Name: naming.Object(scheduleID(cluster, name).String())}, found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

func (p *Provider) listSchedules(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.scheduledCluster(r)
	if err != nil {
		return err
	}
	found, err := p.schedules(r.Context(), cluster)
	if err != nil {
		return err
	}
	bodies := []scheduleBody{}
	for i := range found {
		bodies = append(bodies, newScheduleBody(cluster, &found[i]))
	}
	page, err := arm.Page(r, bodies, func(b scheduleBody) string { return b.Name })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

func (p *Provider) getSchedule(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.scheduledCluster(r)
	if err != nil {
		return err
	}
	found, err := p.schedule(r.Context(), cluster, scheduleName(r))
	if err != nil {
		return err
	}
	if found == nil || !found.Of(cluster) {
		return arm.ResourceNotFound(scheduleID(cluster, r.Param("scheduleName")))
	}
	return arm.WriteJSON(w, http.StatusOK, newScheduleBody(cluster, found))
}

// putSchedule makes or replaces a schedule. One that already is as wanted stays;
// one whose times change counts from now on, with the backups that it has. The
// schedule may do only what its author may.
func (p *Provider) putSchedule(w http.ResponseWriter, r *arm.Request) error {
	if name := r.Param("scheduleName"); !regexp.MustCompile(`^[a-zA-Z0-9]([-_a-zA-Z0-9]{0,22}[a-zA-Z0-9])?$`).MatchString(name) {
		return arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter,
			"The name '%.100s' is not that of a backup schedule: up to 24 letters, digits and - _ between, a letter or digit at both ends.", name).At("scheduleName")
	}
	wanted, err := readSchedule(r)
	if err != nil {
		return err
	}
	for action, scope := range map[string]string{
		actionBackUp: clusterOf(r).String(), on + "write": resources.GroupID(r.Param("subscriptionID"), r.Param("resourceGroup")).String(),
	} {
		if err := p.allowed(r, action, scope); err != nil {
			return err
		}
	}
	return resources.RetryConflicts(func() error {
		cluster, err := p.scheduledCluster(r)
		if err != nil {
			return err
		}
		if cluster.DeletionTimestamp != nil {
			return beingDeleted(cluster)
		}
		known, err := p.schedule(r.Context(), cluster, wanted.Name)
		if err != nil {
			return err
		}
		if known != nil {
			return p.replaceSchedule(w, r, cluster, known, wanted)
		}
		return p.createSchedule(w, r, cluster, wanted)
	})
}

// replaceSchedule changes a schedule that is there, or takes the place of what a
// former cluster of the name left behind.
func (p *Provider) replaceSchedule(w http.ResponseWriter, r *arm.Request, cluster *v1alpha1.ManagedCluster, known *v1alpha1.BackupSchedule, wanted v1alpha1.BackupScheduleSpec) error {
	if !known.Of(cluster) {
		if err := p.Client.Delete(r.Context(), known, client.Preconditions{UID: &known.UID}); client.IgnoreNotFound(err) != nil {
			return err
		}
		return p.createSchedule(w, r, cluster, wanted)
	}
	next := known.DeepCopy()
	next.Spec.Cron, next.Spec.TimeZone, next.Spec.Disabled = wanted.Cron, wanted.TimeZone, wanted.Disabled
	if next.Spec != known.Spec {
		next.Spec.Since = metav1.NewTime(p.Now())
	}
	next.Spec.KeepCount, next.Spec.KeepDays = wanted.KeepCount, wanted.KeepDays
	if next.Spec != known.Spec {
		if err := p.Client.Update(r.Context(), next); err != nil {
			return err
		}
	}
	return arm.WriteJSON(w, http.StatusOK, newScheduleBody(cluster, next))
}

func (p *Provider) createSchedule(w http.ResponseWriter, r *arm.Request, cluster *v1alpha1.ManagedCluster, wanted v1alpha1.BackupScheduleSpec) error {
	others, err := p.schedules(r.Context(), cluster)
	if err != nil {
		return err
	}
	if len(others) >= maxSchedules {
		return arm.NewError(http.StatusConflict, "QuotaExceeded",
			"The managed cluster '%s' has %d backup schedules, which is the most. Delete one first.", cluster.Spec.Name, maxSchedules)
	}
	wanted.ClusterName, wanted.ClusterIncarnation = cluster.Name, cluster.Spec.Incarnation
	wanted.Incarnation, wanted.Since = naming.Incarnation(), metav1.NewTime(p.Now())
	made := &v1alpha1.BackupSchedule{
		ObjectMeta: metav1.ObjectMeta{
			Name:   naming.Object(scheduleID(cluster, wanted.Name).String()),
			Labels: map[string]string{v1alpha1.BackupScheduleClusterLabel: cluster.Name},
		},
		Spec: wanted,
	}
	if err := p.Client.Create(r.Context(), made); err != nil {
		return err
	}
	err = beside.Withdraw(r.Context(), p.Client, made, cluster, func() (*v1alpha1.ManagedCluster, error) { return p.scheduledCluster(r) })
	if errors.Is(err, beside.ErrDeleting) {
		return beingDeleted(cluster)
	}
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusCreated, newScheduleBody(cluster, made))
}

func beingDeleted(cluster *v1alpha1.ManagedCluster) error {
	return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"Operation is not allowed: the managed cluster '%s' is being deleted, and its backup schedules with it.", cluster.Spec.Name)
}

// deleteSchedule deletes a schedule. Its backups stay, and nobody deletes them by age any more.
func (p *Provider) deleteSchedule(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.scheduledCluster(r)
	if err != nil {
		return err
	}
	found, err := p.schedule(r.Context(), cluster, scheduleName(r))
	if err != nil {
		return err
	}
	if found == nil || !found.Of(cluster) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := p.Client.Delete(r.Context(), found, client.Preconditions{UID: &found.UID}); client.IgnoreNotFound(err) != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// TakeScheduled asks for the backup that a schedule has due. Its name follows
// from the due time, so that asking again after a kill asks for the same one.
// It fails with an *arm.Error as long as the cluster or its group does not admit it.
func (p *Provider) TakeScheduled(ctx context.Context, cluster *v1alpha1.ManagedCluster, schedule *v1alpha1.BackupSchedule, due time.Time) (string, error) {
	name := schedule.BackupName(cluster.Spec.Name, due)
	if err := running(cluster); err != nil {
		return name, err
	}
	at := metav1.NewTime(due)
	_, err := p.store(ctx, v1alpha1.BackupSpec{
		SubscriptionID: strings.ToLower(cluster.Spec.SubscriptionID), ResourceGroup: cluster.Spec.ResourceGroup, Name: name,
		Origin: v1alpha1.BackupOfCluster, ClusterName: cluster.Name, ClusterIncarnation: cluster.Spec.Incarnation,
		ScheduleName: schedule.Spec.Name, Due: &at,
	}, map[string]string{v1alpha1.BackupScheduleLabel: schedule.Spec.Incarnation})
	if !apierrors.IsAlreadyExists(err) {
		return name, err
	}
	var there v1alpha1.Backup
	key := client.ObjectKey{Name: naming.Object(backupID(cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, name).String())}
	if err := p.Client.Get(ctx, key, &there); err != nil {
		return name, err
	}
	if there.Labels[v1alpha1.BackupScheduleLabel] != schedule.Spec.Incarnation {
		return name, arm.NewError(http.StatusConflict, "ResourceExists",
			"There is a backup '%s' already, which this schedule did not take. Delete it, or wait for the next time.", name)
	}
	return name, nil
}

// Drop deletes a backup that a schedule no longer keeps. It fails with an
// *arm.Error while a cluster is being restored from it.
func (p *Provider) Drop(ctx context.Context, backup *v1alpha1.Backup) error {
	if err := p.unused(ctx, backup); err != nil {
		return err
	}
	return client.IgnoreNotFound(p.Client.Delete(ctx, backup, client.Preconditions{UID: &backup.UID}))
}
