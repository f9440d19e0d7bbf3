package containerservice

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// nodeImageCaller stands in the place of a caller in the operations by which
// nodes get a new node image by themselves.
const nodeImageCaller = "node-image"

const nodeOSChannelPath = "properties.autoUpgradeProfile.nodeOSUpgradeChannel"

// convertNodeOSChannel sets whether nodes get a new node image by themselves.
func convertNodeOSChannel(d *draft, request autoUpgradeRequest) {
	switch channel := request.NodeOSUpgradeChannel; channel {
	case "":
	case containerservicev1alpha1.NodeOSChannelNone, containerservicev1alpha1.NodeOSChannelNodeImage:
		d.next.Spec.NodeOSUpgradeChannel = channel
		forget(d, nodeOSChannelPath)
	default:
		d.fields.Add(arm.CodeNotSupported, d.body.Path(nodeOSChannelPath),
			"The node OS upgrade channel '%s' is not supported: the node image has no package updates of its own. Supported are: None, NodeImage.", channel)
	}
}

// channelsBody is the profile of automatic upgrades as far as it was set.
func channelsBody(c *containerservicev1alpha1.ManagedCluster) object {
	profile := object{}
	if c.Spec.UpgradeChannel != "" {
		profile["upgradeChannel"] = c.Spec.UpgradeChannel
	}
	if c.Spec.NodeOSUpgradeChannel != "" {
		profile["nodeOSUpgradeChannel"] = c.Spec.NodeOSUpgradeChannel
	}
	return profile
}

// UpgradeNodeImage renews the nodes of a pool that are not of a node image, as a
// caller's upgradeNodeImageVersion does, in one write under the version of the
// cluster that was looked at. It fails with an *arm.Error if it is not admitted.
func (p *Provider) UpgradeNodeImage(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, pool, image string) error {
	if err := admitVerb(cluster, pool, meta.VerbUpgradeNodeImage); err != nil {
		return err
	}
	d := &draft{old: cluster, next: cluster.DeepCopy()}
	d.next.AgentPool(pool).NodeImageVersion = image
	p.admission.Lock()
	defer p.admission.Unlock()
	if !cluster.Spec.ForcesUpgrade(p.Now()) {
		known, err := p.readFacts(ctx, cluster.Name)
		if err != nil {
			return err
		}
		findings, err := p.preflight(ctx, d.old, d.next, known, pool)
		if err != nil {
			return err
		}
		if len(findings) > 0 {
			return blockedBy(findings)
		}
	}
	r := &arm.Request{
		Request:       (&http.Request{}).WithContext(ctx),
		Params:        map[string]string{"subscriptionID": cluster.Spec.SubscriptionID, "resourceGroup": cluster.Spec.ResourceGroup, "resourceName": cluster.Spec.Name},
		CorrelationID: uuid.NewString(), Principal: arm.Principal{ObjectID: nodeImageCaller},
	}
	_, err := p.write(ctx, r, d, pool, meta.VerbUpgradeNodeImage)
	return err
}

// nodeImageUpgradeBody is how the nodes of a cluster stand to the newest node image.
func nodeImageUpgradeBody(c *containerservicev1alpha1.ManagedCluster) object {
	body := object{"nodeOSUpgradeChannel": firstOf(c.Spec.NodeOSUpgradeChannel, containerservicev1alpha1.NodeOSChannelNone)}
	status := c.Status.NodeImageUpgrade
	if status == nil || c.Spec.NodeOSUpgradeChannel != containerservicev1alpha1.NodeOSChannelNodeImage {
		return body
	}
	body["nodeImage"], body["upToDate"], body["message"] = status.Image, status.Done, status.Message
	for name, at := range map[string]*metav1.Time{"windowStart": status.WindowStart, "windowEnd": status.WindowEnd} {
		if at != nil {
			body[name] = at.UTC().Format(time.RFC3339)
		}
	}
	if refused := status.Refused; refused != nil {
		body["refused"] = object{"time": refused.Time.UTC().Format(time.RFC3339), "code": refused.Failure.Code, "message": refused.Failure.Message}
	}
	return body
}
