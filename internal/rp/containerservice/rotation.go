package containerservice

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

const (
	// defaultGrace is for how long what a rotation replaced is accepted unless the
	// caller says otherwise: a day, so that what reads its files seldom reads them.
	defaultGrace = 24 * time.Hour
	// maxGrace is the longest that a caller may ask for.
	maxGrace = 90 * 24 * time.Hour
)

// rotationRoutes are the rotations of the public service.
func (p *Provider) rotationRoutes() []arm.Route {
	return []arm.Route{
		{
			Method: http.MethodPost, Pattern: aCluster + "/rotateClusterCertificates", Action: onClusters + "rotateClusterCertificates/action",
			Handle: p.rotate(containerservicev1alpha1.RotateAuthorities, meta.VerbRotateCertificates),
		},
		{
			Method: http.MethodPost, Pattern: aCluster + "/rotateServiceAccountSigningKeys", Action: onClusters + "rotateServiceAccountSigningKeys/action",
			Handle: p.rotate(containerservicev1alpha1.RotateServiceAccountKeys, meta.VerbRotateServiceAccountKeys),
		},
	}
}

// berthRotationRoutes are the same with a grace period of the caller's choice,
// and what tells how far they are.
func (p *Provider) berthRotationRoutes() []arm.Route {
	const (
		berthCluster = "/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/" + BerthNamespace + "/managedClusters/{resourceName}"
		on           = BerthNamespace + "/managedClusters/"
	)
	routes := []arm.Route{
		{Method: http.MethodGet, Pattern: berthCluster + "/certificates", Action: on + "read", Handle: p.getCertificates},
		{
			Method: http.MethodPost, Pattern: berthCluster + "/rotateClusterCertificates", Action: on + "rotateClusterCertificates/action",
			Handle: p.rotate(containerservicev1alpha1.RotateAuthorities, meta.VerbRotateCertificates),
		},
		{
			Method: http.MethodPost, Pattern: berthCluster + "/rotateServiceAccountSigningKeys", Action: on + "rotateServiceAccountSigningKeys/action",
			Handle: p.rotate(containerservicev1alpha1.RotateServiceAccountKeys, meta.VerbRotateServiceAccountKeys),
		},
	}
	routes = append(routes, arm.Route{
		Method: http.MethodPost, Pattern: berthCluster + "/rotateEncryptionKey", Action: on + "rotateEncryptionKey/action",
		Handle: p.rotate(containerservicev1alpha1.RotateEncryptionKeys, meta.VerbRotateEncryptionKey),
	})
	for i := range routes {
		routes[i].Versions = &arm.VersionTable{ResourceType: "managedClusters", Location: p.Location, Versions: []string{BerthVersion}}
	}
	return routes
}

// rotate starts a rotation.
func (p *Provider) rotate(kind containerservicev1alpha1.RotationKind, verb meta.Verb) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		grace, err := gracePeriod(w, r)
		if err != nil {
			return err
		}
		if kind == containerservicev1alpha1.RotateEncryptionKeys {
			if len(bytes.TrimSpace(r.Body)) > 0 {
				return arm.NewError(http.StatusBadRequest, arm.CodeInvalidRequestContent,
					"The rotation of the key of the encryption at rest has no body: the old key goes once nothing is encrypted with it.")
			}
			grace = 0
		}
		return resources.RetryConflicts(func() error {
			cluster, err := p.cluster(r)
			if err != nil {
				return err
			}
			if err := admitVerb(cluster, meta.ScopeCluster, verb); err != nil {
				return err
			}
			d := &draft{old: cluster, next: cluster.DeepCopy()}
			d.next.Spec.Rotate(containerservicev1alpha1.Rotation{Kind: kind, ID: uuid.NewString(), GracePeriod: metav1.Duration{Duration: grace}})
			id, err := p.write(r.Context(), r, d, meta.ScopeCluster, verb)
			return p.accepted(w, r, id, err)
		})
	}
}

// gracePeriod reads the body of a rotation, which may be missing and may say for
// how long what is replaced is still accepted.
func gracePeriod(w http.ResponseWriter, r *arm.Request) (time.Duration, error) {
	if err := r.ReadBody(w); err != nil {
		return 0, err
	}
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return defaultGrace, nil
	}
	var body struct {
		GracePeriodInSeconds *int64 `json:"gracePeriodInSeconds"`
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return 0, arm.NewError(http.StatusBadRequest, arm.CodeInvalidRequestContent,
			"The body of a rotation is empty, or an object with the number gracePeriodInSeconds and nothing else: %.200s.", err)
	}
	if body.GracePeriodInSeconds == nil {
		return defaultGrace, nil
	}
	if seconds := *body.GracePeriodInSeconds; seconds < 0 || seconds > int64(maxGrace.Seconds()) {
		return 0, arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter,
			"gracePeriodInSeconds is from 0, for what is compromised, to %d.", int64(maxGrace.Seconds())).At("gracePeriodInSeconds")
	}
	return time.Duration(*body.GracePeriodInSeconds) * time.Second, nil
}

// getCertificates tells when certificates expire and what is still accepted.
func (p *Provider) getCertificates(w http.ResponseWriter, r *arm.Request) error {
	c, err := p.cluster(r)
	if err != nil {
		return err
	}
	properties := object{"provisioningState": c.DeriveProvisioningState()}
	if status := c.Status.Certificates; status != nil {
		properties["earliestExpiry"] = status.EarliestExpiry.UTC().Format(time.RFC3339)
		properties["earliestName"], properties["authority"] = status.EarliestName, status.Authority
		if status.RetireTime != nil {
			properties["retireTime"] = status.RetireTime.UTC().Format(time.RFC3339)
		}
	}
	if retired := apimeta.FindStatusCondition(c.Status.Conditions, containerservicev1alpha1.ConditionPredecessorsRetired); retired != nil {
		properties["predecessorsRetired"], properties["message"] = retired.Status == metav1.ConditionTrue, retired.Message
	}
	return arm.WriteJSON(w, http.StatusOK, object{
		"id": berthID(c, "certificates"), "name": "certificates", "type": BerthNamespace + "/managedClusters/certificates", "properties": properties,
	})
}
