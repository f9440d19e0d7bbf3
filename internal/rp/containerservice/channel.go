package containerservice

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/upgrade"
)

// autoUpgradeRequest is what acts in the profile of automatic upgrades.
type autoUpgradeRequest struct {
	UpgradeChannel       string `json:"upgradeChannel"`
	NodeOSUpgradeChannel string `json:"nodeOSUpgradeChannel"`
}

const channelPath = "properties.autoUpgradeProfile.upgradeChannel"

// convertChannel sets the channel of automatic upgrades.
func convertChannel(d *draft, request autoUpgradeRequest) {
	channel := strings.ToLower(request.UpgradeChannel)
	switch channel {
	case "":
		return
	case "node-image":
		d.fields.Add(arm.CodeNotSupported, d.body.Path(channelPath),
			"The upgrade channel 'node-image' is not supported: nodes get a new image by 'az aks nodepool upgrade --node-image-only' only. Supported are: %s.", strings.Join(upgrade.Channels(), ", "))
		return
	}
	d.next.Spec.UpgradeChannel = channel
	forget(d, channelPath)
}

// forget takes away a value that was kept without effect before its property acted.
func forget(d *draft, path string) {
	if kept := loadValues(d.next); kept[meta.ScopeCluster][path] != nil {
		delete(kept[meta.ScopeCluster], path)
		content, _ := json.Marshal(kept) // it was read from JSON
		annotate(d.next, inertAnnotation, string(content))
	}
}

// checkChannel refuses to leave pools behind where a channel would take them
// along in its next window.
func checkChannel(d *draft) {
	channel, to := d.next.Spec.UpgradeChannel, d.next.Spec.KubernetesVersion
	if d.old == nil || d.old.Spec.KubernetesVersion == to || !upgrade.Automatic(channel) {
		return
	}
	for _, pool := range d.next.Spec.AgentPools {
		if upgrade.Less(pool.OrchestratorVersion, to) {
			d.fields.Add(arm.CodeOperationNotAllowed, d.body.Path("properties.kubernetesVersion"),
				"Upgrading the control plane alone is not allowed while the cluster is on the upgrade channel '%s', and the agent pool '%s' would stay on Kubernetes %s. Upgrade the pools too, or set the channel none first.",
				channel, pool.Name, pool.OrchestratorVersion)
			return
		}
	}
}

// AutoUpgrade upgrades a cluster with all its pools on behalf of its channel. It
// is what a PUT with another version is: the same checks, the same operation, and
// an *arm.Error with the same words if it is refused. The write is under the
// version of the cluster that was looked at: a conflict if that has changed.
func (p *Provider) AutoUpgrade(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, version string) error {
	spec := cluster.Spec
	pools := []object{}
	for _, pool := range spec.AgentPools {
		pools = append(pools, object{"name": pool.Name, "orchestratorVersion": version})
	}
	body, err := json.Marshal(object{
		"location": spec.Location, "tags": spec.Tags,
		"properties": object{"kubernetesVersion": version, "agentPoolProfiles": pools},
	})
	if err != nil {
		return err
	}
	versions := apiVersions()
	r := &arm.Request{
		Request:    (&http.Request{}).WithContext(ctx),
		Params:     map[string]string{"subscriptionID": spec.SubscriptionID, "resourceGroup": spec.ResourceGroup, "resourceName": spec.Name},
		APIVersion: versions[len(versions)-1], CorrelationID: uuid.NewString(),
		Principal: arm.Principal{ObjectID: containerservicev1alpha1.AutoUpgradeCaller}, Body: body,
	}
	p.admission.Lock()
	defer p.admission.Unlock()
	d, err := p.admitBody(r, cluster)
	if err != nil {
		return err
	}
	if !upgrades(d.old, d.next) {
		return nil
	}
	_, err = p.write(ctx, r, d, meta.ScopeCluster, meta.VerbUpgrade)
	return err
}

// autoUpgradeBody is how a cluster's channel stands.
func autoUpgradeBody(c *containerservicev1alpha1.ManagedCluster) object {
	body := object{"upgradeChannel": firstOf(c.Spec.UpgradeChannel, upgrade.ChannelNone)}
	status := c.Status.AutoUpgrade
	if status == nil || !upgrade.Automatic(c.Spec.UpgradeChannel) {
		return body
	}
	body["targetVersion"], body["upToDate"], body["message"] = status.TargetVersion, status.Done, status.Message
	if status.NextVersion != "" {
		body["nextVersion"] = status.NextVersion
	}
	moment := func(name string, t *metav1.Time) {
		if t != nil {
			body[name] = t.UTC().Format(time.RFC3339)
		}
	}
	moment("windowStart", status.WindowStart)
	moment("windowEnd", status.WindowEnd)
	if refused := status.Refused; refused != nil {
		body["refused"] = object{
			"kubernetesVersion": refused.Version, "time": refused.Time.UTC().Format(time.RFC3339),
			"code": refused.Failure.Code, "message": refused.Failure.Message,
		}
	}
	return body
}
