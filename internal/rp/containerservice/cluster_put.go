package containerservice

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/containerservice/property"
	"berth.dev/berth/internal/rp/resources"
)

// putCluster creates or updates a cluster.
func (p *Provider) putCluster(w http.ResponseWriter, r *arm.Request) error {
	p.admission.Lock()
	defer p.admission.Unlock()
	return resources.RetryConflicts(func() error {
		d, err := p.admitCluster(r)
		if err != nil {
			return err
		}
		id, err := p.write(r.Context(), r, d, meta.ScopeCluster, clusterVerb(d.old, d.next))
		if err != nil {
			return err
		}
		status := http.StatusOK
		if d.old == nil {
			status = http.StatusCreated
			if err := p.withdrawOrphan(r, d.next); err != nil {
				return err
			}
		}
		return p.answerCluster(w, r, d.next, id, status)
	})
}

// admitCluster takes a request up to its write.
func (p *Provider) admitCluster(r *arm.Request) (*draft, error) {
	if _, err := resources.WritableGroup(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
		return nil, err
	}
	old, err := p.find(r.Context(), requestID(r))
	if err != nil {
		return nil, err
	}
	return p.admitBody(r, old)
}

// admitBody takes a request for a cluster that was found, or for a new one, up
// to its write.
func (p *Provider) admitBody(r *arm.Request, old *containerservicev1alpha1.ManagedCluster) (*draft, error) {
	if err := checkETag(r, old, meta.ScopeCluster); err != nil {
		return nil, err
	}
	if err := admitStopped(old, meta.ScopeCluster); err != nil { // it says what to do, whatever the body asks for
		return nil, err
	}
	d := &draft{old: old, fields: &arm.FieldErrors{}, apiVersion: r.APIVersion}
	var request clusterRequest
	if err := d.decode(p.clusterSchema, r.Body, &request); err != nil {
		return nil, err
	}
	known, err := p.readFacts(r.Context(), naming.Object(requestID(r).String()))
	if err != nil {
		return nil, err
	}
	convertCluster(d, request, requestID(r), p.Location)
	if err := p.admitIdentity(r, d, request.Identity); err != nil {
		return nil, err
	}
	if err := p.admitKubeletIdentity(r, d, request.Properties.IdentityProfile); err != nil {
		return nil, err
	}
	p.planUpgrade(d)
	checkChannel(d)
	validateCluster(d, request, requestID(r), p.Location)
	validatePools(d, p.AllowNoAgentPools)
	p.checkRules(r, d, request)
	keepInert(d, clusterScope(request))
	paths := map[string]string{}
	for i, pool := range request.Properties.AgentPoolProfiles {
		paths[pool.Name] = fmt.Sprintf("properties.agentPoolProfiles[%d].", i)
	}
	if err := p.admitPlace(r, d, known, paths); err != nil {
		return nil, err
	}
	if err := d.fields.Err(); err != nil {
		return nil, err
	}
	if err := admitOperation(old, meta.ScopeCluster); err != nil {
		return nil, err
	}
	if err := p.admitUpgrade(r.Context(), d, known); err != nil {
		return nil, err
	}
	return d, p.admitRoom(r.Context(), old, d.next, known, d.body.Path("properties.agentPoolProfiles"))
}

// decode reads a body against its schema. If a value is not of its type the
// rules about values cannot be checked, and the answer is about types alone.
func (d *draft) decode(schema *arm.Schema, raw []byte, into any) error {
	body, err := schema.Read(raw, d.fields)
	if err != nil {
		return err
	}
	d.body = body
	if d.fields.Malformed() {
		return d.fields.Err()
	}
	return body.Decode(into)
}

// withdrawOrphan looks whether the resource group began to be deleted while the
// cluster was written: the group's deletion may have looked for clusters
// before that. The cluster is then deleted again.
func (p *Provider) withdrawOrphan(r *arm.Request, cluster *containerservicev1alpha1.ManagedCluster) error {
	// The answer to the client does not depend on its patience from here on.
	ctx := context.WithoutCancel(r.Context())
	_, err := resources.WritableGroup(ctx, p.Client, r.Param("subscriptionID"), r.Param("resourceGroup"))
	var gone *arm.Error
	if !errors.As(err, &gone) {
		return nil // there, or not to be asked just now: no reason to undo what was accepted
	}
	if err := p.Client.Delete(ctx, cluster, client.Preconditions{UID: &cluster.UID}); client.IgnoreNotFound(err) != nil {
		return err
	}
	return gone
}

// answerCluster answers a write that started an operation.
func (p *Provider) answerCluster(w http.ResponseWriter, r *arm.Request, cluster *containerservicev1alpha1.ManagedCluster, id string, status int) error {
	pools, err := p.poolsOf(r.Context(), cluster)
	if err != nil {
		return err
	}
	p.async(r, id, false).Set(w, r)
	tellUnsupported(w, cluster.UnsupportedProperties())
	return arm.WriteJSON(w, status, p.clusterBody(r, cluster, pools))
}

// patchTags replaces the tags of a cluster. It needs no operation: nothing but
// the answer depends on tags.
func (p *Provider) patchTags(w http.ResponseWriter, r *arm.Request) error {
	return resources.RetryConflicts(func() error {
		cluster, err := p.cluster(r)
		if err != nil {
			return err
		}
		if err := checkETag(r, cluster, meta.ScopeCluster); err != nil {
			return err
		}
		d := &draft{old: cluster, next: cluster.DeepCopy(), fields: &arm.FieldErrors{}}
		schema, err := arm.NewSchema(property.Tags())
		if err != nil {
			return err
		}
		var request struct {
			Tags map[string]string `json:"tags"`
		}
		if err := d.decode(schema, r.Body, &request); err != nil {
			return err
		}
		resources.CheckTags(request.Tags, d.body.Path("tags"), d.fields)
		if err := d.fields.Err(); err != nil {
			return err
		}
		if err := admitOperation(cluster, meta.ScopeCluster); err != nil {
			return err
		}
		if d.body.Has("tags") {
			d.next.Spec.Tags = request.Tags
		}
		renewETags(d.next, meta.ScopeCluster)
		if err := p.Client.Update(r.Context(), d.next); err != nil {
			return err
		}
		pools, err := p.poolsOf(r.Context(), d.next)
		if err != nil {
			return err
		}
		tellUnsupported(w, d.next.UnsupportedProperties())
		return arm.WriteJSON(w, http.StatusOK, p.clusterBody(r, d.next, pools))
	})
}
