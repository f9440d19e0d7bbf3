package containerservice

import (
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// BerthNamespace is the provider of what the public service lacks.
const BerthNamespace = "Berth.ContainerService"

// BerthVersion is its api-version.
const BerthVersion = "2026-11-01"

// upgradeRoutes are the actions of upgrades that the public service does not have.
func (p *Provider) upgradeRoutes() []arm.Route {
	const (
		berthCluster = "/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/" + BerthNamespace + "/managedClusters/{resourceName}"
		on           = BerthNamespace + "/managedClusters/"
	)
	routes := []arm.Route{
		{Method: http.MethodGet, Pattern: berthCluster + "/upgrade", Action: on + "read", Handle: p.getUpgrade},
		{Method: http.MethodPost, Pattern: berthCluster + "/preflightUpgrade", Action: on + "preflightUpgrade/action", Handle: p.preflightUpgrade},
		{Method: http.MethodPost, Pattern: berthCluster + "/lift", Action: on + "lift/action", Handle: p.liftCluster},
		{Method: http.MethodPost, Pattern: berthCluster + "/rollback", Action: on + "rollback/action", Handle: p.rollBackCluster},
	}
	routes = append(routes, arm.Route{Method: http.MethodPost, Pattern: berthCluster + "/agentPools/{agentPoolName}/rollback", Action: on + "agentPools/rollback/action", Handle: p.queueable(meta.VerbRollback, p.rollBackPool)})
	for i := range routes {
		routes[i].Versions = &arm.VersionTable{ResourceType: "managedClusters", Location: p.Location, Versions: []string{BerthVersion}}
	}
	return routes
}

// BerthResourceTypes are the resource types of BerthNamespace with their api-versions.
func (p *Provider) BerthResourceTypes() map[string][]string {
	return map[string][]string{"managedClusters": {BerthVersion}, "managedClusters/" + powerSchedules: {BerthVersion}}
}

// berthID is the path of an action of BerthNamespace on a cluster.
func berthID(c *containerservicev1alpha1.ManagedCluster, action string) string {
	id := ClusterID(c.Spec.SubscriptionID, c.Spec.ResourceGroup, c.Spec.Name)
	id.Provider = BerthNamespace
	return id.String() + "/" + action
}

// getUpgrade shows both versions of a control plane: of its binaries, and of the
// API that it serves.
func (p *Provider) getUpgrade(w http.ResponseWriter, r *arm.Request) error {
	c, err := p.cluster(r)
	if err != nil {
		return err
	}
	shown := upgradeBody(c)
	if before := p.beforeUpgrade(r.Context(), c); before != nil {
		shown["properties"].(object)["backup"] = before
	}
	return arm.WriteJSON(w, http.StatusOK, shown)
}

func upgradeBody(c *containerservicev1alpha1.ManagedCluster) object {
	served := firstOf(c.Status.CurrentKubernetesVersion, c.ServedVersion())
	properties := object{
		"kubernetesVersion": c.Spec.KubernetesVersion, "currentKubernetesVersion": served,
		"binaryVersion": served, "provisioningState": c.DeriveProvisioningState(), "canRollBack": c.Spec.Upgrade.Revocable(),
	}
	if status := c.Status.Upgrade; status != nil {
		properties["binaryVersion"], properties["emulatedVersion"] = status.BinaryVersion, status.EmulatedVersion
		if status.HealthySince != nil {
			properties["healthySince"] = status.HealthySince.UTC().Format(time.RFC3339)
		}
		if status.LiftTime != nil {
			properties["liftTime"] = status.LiftTime.UTC().Format(time.RFC3339)
		}
	}
	properties["autoUpgrade"], properties["nodeImageUpgrade"] = autoUpgradeBody(c), nodeImageUpgradeBody(c)
	if u := c.Spec.Upgrade; u != nil {
		properties["fromVersion"], properties["controlPlaneOnly"], properties["soakInSeconds"] = u.FromVersion, u.ControlPlaneOnly, int(u.Soak.Seconds())
		if u.RolledBack != nil {
			properties["rolledBack"] = object{"code": u.RolledBack.Code, "message": u.RolledBack.Message}
		}
	}
	return object{"id": berthID(c, "upgrade"), "name": "upgrade", "type": BerthNamespace + "/managedClusters/upgrade", "properties": properties}
}

// preflightUpgrade says what stands in the way of the upgrade that a body asks
// for, which is one of a managed cluster, and changes nothing.
func (p *Provider) preflightUpgrade(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	if err := r.ReadBody(w); err != nil {
		return err
	}
	d := &draft{old: cluster, fields: &arm.FieldErrors{}}
	var request clusterRequest
	if err := d.decode(p.clusterSchema, r.Body, &request); err != nil {
		return err
	}
	convertCluster(d, request, requestID(r), p.Location)
	p.planUpgrade(d)
	checkChannel(d)
	if err := d.fields.Err(); err != nil {
		return err
	}
	known, err := p.readFacts(r.Context(), cluster.Name)
	if err != nil {
		return err
	}
	findings, err := p.preflight(r.Context(), d.old, d.next, known)
	if err != nil {
		return err
	}
	if findings == nil {
		findings = []finding{}
	}
	return arm.WriteJSON(w, http.StatusOK, object{
		"currentKubernetesVersion": firstOf(cluster.Status.CurrentKubernetesVersion, cluster.ServedVersion()),
		"kubernetesVersion":        d.next.Spec.KubernetesVersion, "upgrades": upgrades(d.old, d.next), "findings": findings,
	})
}

// liftCluster lets a control plane serve its new minor now.
func (p *Provider) liftCluster(w http.ResponseWriter, r *arm.Request) error {
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		if err := admitVerb(cluster, meta.ScopeCluster, meta.VerbUpgrade); err != nil {
			return err
		}
		if !cluster.Spec.Upgrade.Revocable() {
			return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
				"Operation is not allowed: the control plane of the managed cluster '%s' serves Kubernetes %s already; there is nothing to lift.", cluster.Spec.Name, cluster.Spec.KubernetesVersion)
		}
		d := &draft{old: cluster, next: cluster.DeepCopy()}
		d.next.Spec.Upgrade.Lift, d.next.Spec.Upgrade.LiftTime = true, &metav1.Time{Time: p.Now()}
		id, err := p.write(r.Context(), r, d, meta.ScopeCluster, meta.VerbUpgrade)
		return p.accepted(w, r, id, err)
	})
}

// rollBackCluster takes an upgrade back: one that has not been lifted without
// any loss, one that has by restoring the backup that was taken before it.
func (p *Provider) rollBackCluster(w http.ResponseWriter, r *arm.Request) error {
	acceptLoss, err := readAcceptLoss(w, r)
	if err != nil {
		return err
	}
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		if cluster.Spec.Upgrade.Restorable() {
			return p.restoreBefore(w, r, cluster, acceptLoss)
		}
		if err := admitRollback(cluster); err != nil {
			return err
		}
		d := &draft{old: cluster, next: cluster.DeepCopy()}
		d.next.Spec.RollBack()
		d.next.Spec.Upgrade = nil
		id, err := p.write(r.Context(), r, d, meta.ScopeCluster, meta.VerbRollback)
		return p.accepted(w, r, id, err)
	})
}
