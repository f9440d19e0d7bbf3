package network

import (
	"net/http"
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// body is a resource on the wire.
func (s *snapshot) body(k *kind, o networkv1.Object) (object, error) {
	properties, err := k.properties(s, o)
	if err != nil {
		return nil, err
	}
	state, err := s.state(k, o)
	if err != nil {
		return nil, err
	}
	tag, err := etag(o)
	if err != nil {
		return nil, err
	}
	id, err := arm.ParseResourceID(o.Common().ResourceID)
	if err != nil {
		return nil, err
	}
	properties["provisioningState"], properties["resourceGuid"] = state, guid(o)
	keep(properties, o.Common().Kept)
	body := object{
		"id": id.String(), "name": id.Name(), "type": id.Type(), "etag": quoted(tag),
		"location": o.Common().Location, "properties": properties,
	}
	if len(o.Common().Tags) > 0 {
		body["tags"] = o.Common().Tags
	}
	if k.around != nil {
		k.around(o, body)
	}
	if k.child != nil {
		nest(k, body, properties, state, quoted(tag))
	}
	return body, nil
}

// guid is a resource's own: of what a cluster made, that of its object.
func guid(o networkv1.Object) string {
	if o.Common().GUID == "" {
		return string(o.GetUID())
	}
	return o.Common().GUID
}

// nest completes the bodies of what is nested in a resource.
func nest(k *kind, body, properties object, state, tag string) {
	children, _ := properties[k.child.name].([]object)
	for _, one := range children {
		name, _ := one["name"].(string)
		one["id"], one["type"], one["etag"] = body["id"].(string)+"/"+k.child.name+"/"+name, Namespace+"/"+k.name+"/"+k.child.name, tag
		one["properties"].(object)["provisioningState"] = state
	}
	if k.defaults == nil {
		return
	}
	defaults := k.defaults(body["id"].(string))
	for _, one := range defaults {
		one["etag"] = tag
	}
	properties["defaultSecurityRules"] = defaults
}

// existing reads the resource of the path.
func (p *Provider) existing(r *arm.Request, k *kind) (networkv1.Object, error) {
	o, err := p.find(r.Context(), k, requestID(r, k))
	if err != nil || o != nil {
		return o, err
	}
	if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
		return nil, err
	}
	return nil, arm.ResourceNotFound(requestID(r, k))
}

func (p *Provider) get(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		o, err := p.existing(r, k)
		if err != nil {
			return err
		}
		return p.answer(w, r, k, o, http.StatusOK)
	}
}

// answer answers with a resource. One that is not done yet is polled by being
// read until it is.
func (p *Provider) answer(w http.ResponseWriter, r *arm.Request, k *kind, o networkv1.Object, status int) error {
	body, err := p.snapshot(r.Context()).body(k, o)
	if err != nil {
		return err
	}
	return writeBody(w, body, status)
}

func writeBody(w http.ResponseWriter, body object, status int) error {
	properties, _ := body["properties"].(object)
	if state := properties["provisioningState"]; state == updating || state == deleting {
		w.Header().Set("Retry-After", arm.RetryAfter)
	}
	if tag, _ := body["etag"].(string); tag != "" {
		w.Header().Set("ETag", tag)
	}
	return arm.WriteJSON(w, status, body)
}

// list lists the resources of a type in a subscription, or in the group of the path.
func (p *Provider) list(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		group := r.Param("resourceGroup")
		if group != "" {
			if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), group); err != nil {
				return err
			}
		}
		s := p.snapshot(r.Context())
		all, err := s.in(k, r.Param("subscriptionID"), group)
		if err != nil {
			return err
		}
		page, err := arm.Page(r, all, func(o networkv1.Object) string { return o.Common().ResourceID })
		if err != nil {
			return err
		}
		bodies := make([]object, 0, len(page.Value))
		for _, o := range page.Value {
			body, err := s.body(k, o)
			if err != nil {
				return err
			}
			bodies = append(bodies, body)
		}
		return arm.WriteJSON(w, http.StatusOK, arm.List[object]{Value: bodies, NextLink: page.NextLink})
	}
}

// children are what is nested in the resource of the path, in a list of its properties.
func (p *Provider) children(r *arm.Request, k *kind, list string) ([]object, error) {
	o, err := p.existing(r, k)
	if err != nil {
		return nil, err
	}
	body, err := p.snapshot(r.Context()).body(k, o)
	if err != nil {
		return nil, err
	}
	children, _ := body["properties"].(object)[list].([]object)
	return children, nil
}

func (p *Provider) listNested(w http.ResponseWriter, r *arm.Request, k *kind, list string) error {
	children, err := p.children(r, k, list)
	if err != nil {
		return err
	}
	page, err := arm.Page(r, children, func(one object) string { return one["id"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

func (p *Provider) getNested(w http.ResponseWriter, r *arm.Request, k *kind, list string) error {
	children, err := p.children(r, k, list)
	if err != nil {
		return err
	}
	for _, one := range children {
		if name, _ := one["name"].(string); strings.EqualFold(name, r.Param("childName")) {
			return writeBody(w, one, http.StatusOK)
		}
	}
	return notNested(r, k, list)
}

// notNested is the answer for a child that a resource does not have.
func notNested(r *arm.Request, k *kind, list string) error {
	return arm.NewError(http.StatusNotFound, "NotFound", "Resource %s not found.", requestID(r, k).Child(list, r.Param("childName")))
}

func (p *Provider) listChildren(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error { return p.listNested(w, r, k, k.child.name) }
}

func (p *Provider) getChild(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error { return p.getNested(w, r, k, k.child.name) }
}

func (p *Provider) listDefaults(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		return p.listNested(w, r, k, "defaultSecurityRules")
	}
}

func (p *Provider) getDefault(k *kind) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		return p.getNested(w, r, k, "defaultSecurityRules")
	}
}
