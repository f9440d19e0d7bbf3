package containerservice

import (
	"context"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/upgrade"
)

// The soaks of upgrades to another minor, unless the operator says otherwise.
const (
	// DefaultSoak is that of an upgrade that goes on to the pools.
	DefaultSoak = 2 * time.Minute
	// DefaultControlPlaneSoak is that of one of the control plane alone.
	DefaultControlPlaneSoak = 24 * time.Hour
	// upgradeTimeout is how long an upgrade may take beside its soak.
	upgradeTimeout = 4 * time.Hour
)

// upgradeTo sets another version of a cluster's control plane, if it may have it.
func (d *draft) upgradeTo(version release.Version, requested, path string) {
	spec := &d.next.Spec
	from, to := spec.KubernetesVersion, version.Version
	refuse := func(format string, arguments ...any) {
		d.fields.Add(arm.CodeOperationNotAllowed, path, format, arguments...)
	}
	switch u := spec.Upgrade; {
	case u.Revocable() && to == u.FromVersion:
		refuse("The control plane was upgraded from Kubernetes %s to %s, which can still be taken back: POST %s or 'berth aks rollback'.", to, from, berthID(d.old, "rollback"))
	case u.Revocable():
		refuse("The control plane was upgraded from Kubernetes %s to %s, which can still be taken back. Lift it first, with POST %s or 'berth aks lift', or roll it back, and then upgrade to %s.", u.FromVersion, from, berthID(d.old, "lift"), to)
	case upgrade.Less(to, from):
		refuse("The cluster runs Kubernetes %s; downgrading it to %s is not allowed.", from, to)
	case upgrade.Skips(from, to):
		refuse("The cluster runs Kubernetes %s; upgrading it to %s would skip a minor, which is not allowed. Upgrade it to one of these first: %s.", from, to, upgradeNames(from))
	default:
		spec.KubernetesVersion, spec.Upgrade = to, nil
		if upgrade.Minor(from) != upgrade.Minor(to) {
			spec.Upgrade = &containerservicev1alpha1.ControlPlaneUpgrade{
				FromVersion: from, FromRequestedVersion: spec.RequestedVersion, ToVersion: to, BackupName: "upgrade-" + naming.Incarnation(),
			}
		}
		spec.RequestedVersion = trimVersion(requested)
	}
}

// convertOverride sets whether upgrades are held up by what preflight finds. As
// in the public service, a wish to force takes effect only with its end.
func convertOverride(d *draft, request *upgradeSettingsRequest) {
	if request == nil {
		return
	}
	settings := request.OverrideSettings
	if settings.Until == nil {
		if settings.ForceUpgrade {
			d.fields.Invalid(d.body.Path("properties.upgradeSettings.overrideSettings.until"),
				"The forceUpgrade has no effect without until: say until when upgrades that begin may pass over what preflight finds, e.g. 2026-12-31T23:59:59Z.")
		}
		d.next.Spec.UpgradeOverride = nil
		return
	}
	d.next.Spec.UpgradeOverride = &containerservicev1alpha1.UpgradeOverride{Force: settings.ForceUpgrade, Until: metav1.NewTime(*settings.Until)}
}

func upgradeNames(from string) string {
	names := ""
	for _, version := range upgradesOf(release.Version{Version: from, Minor: upgrade.Minor(from)}) {
		if names != "" {
			names += ", "
		}
		names += version.Version
	}
	return names
}

// planUpgrade completes an upgrade once the pools are known: what it takes along
// and how long it soaks. A write that moves pools to the version that their
// control plane still holds back makes a whole upgrade of it.
func (p *Provider) planUpgrade(d *draft) {
	u := d.next.Spec.Upgrade
	if d.old == nil || !u.Revocable() {
		return
	}
	begins := d.old.Spec.KubernetesVersion != d.next.Spec.KubernetesVersion
	for _, pool := range d.next.Spec.AgentPools {
		before := d.old.AgentPool(pool.Name)
		if before == nil || before.OrchestratorVersion == pool.OrchestratorVersion || !upgrade.Less(u.FromVersion, pool.OrchestratorVersion) {
			continue
		}
		if u.FromPools == nil {
			u.FromPools = map[string]string{}
		}
		u.FromPools[pool.Name] = before.OrchestratorVersion
	}
	if !begins && len(u.FromPools) == len(d.old.Spec.Upgrade.FromPools) {
		return
	}
	u.ControlPlaneOnly, u.Soak = len(u.FromPools) == 0, metav1.Duration{Duration: p.soak()}
	if u.ControlPlaneOnly {
		u.Soak.Duration = p.controlPlaneSoak()
	}
}

func (p *Provider) soak() time.Duration {
	if p.UpgradeSoak > 0 {
		return p.UpgradeSoak
	}
	return DefaultSoak
}

func (p *Provider) controlPlaneSoak() time.Duration {
	if p.ControlPlaneSoak > 0 {
		return p.ControlPlaneSoak
	}
	return DefaultControlPlaneSoak
}

// upgrades says that a write changes the version of the control plane or of a
// pool that exists.
func upgrades(old, next *containerservicev1alpha1.ManagedCluster) bool {
	if old.Spec.KubernetesVersion != next.Spec.KubernetesVersion {
		return true
	}
	for _, pool := range next.Spec.AgentPools {
		if before := old.AgentPool(pool.Name); before != nil && before.OrchestratorVersion != pool.OrchestratorVersion {
			return true
		}
	}
	return false
}

// admitUpgrade looks for what stands in the way of an upgrade.
func (p *Provider) admitUpgrade(ctx context.Context, d *draft, known facts) error {
	if d.old == nil || !upgrades(d.old, d.next) || d.next.Spec.ForcesUpgrade(p.Now()) {
		return nil
	}
	findings, err := p.preflight(ctx, d.old, d.next, known)
	if err != nil || len(findings) == 0 {
		return err
	}
	return blockedBy(findings).At(d.body.Path("properties.kubernetesVersion"))
}

// blockedBy is the refusal that names what was found.
func blockedBy(findings []finding) *arm.Error {
	details := make([]arm.Detail, 0, len(findings))
	message := ""
	for _, f := range findings {
		details = append(details, arm.Detail{Code: f.Code, Message: f.Message, Target: f.Target})
		message += " " + f.Message
	}
	code := findings[0].Code
	if code == upgrade.CodeDeprecatedAPI {
		code = "ValidationError" // the public service has it as a detail
	}
	return &arm.Error{
		Status: http.StatusBadRequest, Code: code, Message: "Preflight found what would block the upgrade; nothing was changed." + message, Details: details,
	}
}

// admitRollback says why a cluster's upgrade cannot be taken back, nil if it can.
func admitRollback(cluster *containerservicev1alpha1.ManagedCluster) error {
	if err := admitVerb(cluster, meta.ScopeCluster, meta.VerbRollback); err != nil {
		return err
	}
	u := cluster.Spec.Upgrade
	why := "it was not upgraded to another minor"
	switch {
	case u.Revocable():
		return nil
	case u != nil && u.RolledBack != nil:
		why = "its last upgrade was taken back already: " + u.RolledBack.Message
	case u != nil && u.Lift:
		why = "its control plane serves Kubernetes " + u.ToVersion + " already, and may have stored what " + u.FromVersion + " cannot read"
	}
	return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed, "Operation is not allowed: the managed cluster '%s' cannot be rolled back: %s.", cluster.Spec.Name, why)
}
