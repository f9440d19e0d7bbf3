package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/resources"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// draft is a write on its way from the body to the object.
type draft struct {
	p       *Provider
	r       *arm.Request
	s       *snapshot
	content *arm.Body
	fields  *arm.FieldErrors
	// old is the resource as it is, nil of a new one; next as it shall be.
	old, next networkv1.Object
	// child is the name of the child that the body is of, "" if it is of the whole.
	child string
}

// common is what bodies of all types have.
type common struct {
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`
}

// newDraft decodes a body against a table. Of a malformed one nothing is
// looked at further.
func (p *Provider) newDraft(r *arm.Request, table []arm.Property) (*draft, error) {
	schema, err := arm.NewSchema(table)
	if err != nil {
		return nil, err
	}
	d := &draft{p: p, r: r, s: p.snapshot(r.Context()), fields: &arm.FieldErrors{}}
	if d.content, err = schema.Read(r.Body, d.fields); err != nil {
		return nil, err
	}
	if d.fields.Malformed() {
		return nil, d.fields.Err()
	}
	return d, nil
}

// checkName holds the name of something new against what names have to match.
func (d *draft) checkName(name, pattern, form string) {
	if !regexp.MustCompile(pattern).MatchString(name) {
		d.fields.Add("InvalidResourceName", "name", "Resource name %.100s is invalid: it has %s.", name, form)
	}
}

// readCommon reads location and tags.
func (d *draft) readCommon(k *kind) error {
	var sent common
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	resources.CheckTags(sent.Tags, d.content.Path("tags"), d.fields)
	switch {
	case sent.Location == "" && d.old == nil:
		d.fields.Add("LocationRequired", d.content.Path("location"), "The location property is required for this definition.")
	case sent.Location != "" && !resources.SameLocation(sent.Location, d.p.Location):
		d.fields.Add("LocationNotAvailableForResourceType", d.content.Path("location"),
			"The provided location '%.100s' is not available for resource type '%s/%s'. List of available regions for the resource type is '%s'.", sent.Location, Namespace, k.name, d.p.Location)
	}
	d.next.Common().Tags = sent.Tags
	return nil
}

// nested is the canonical path of a property of a child: in the list of the
// whole, or in the child's own body.
func (d *draft) nested(list string, at int, name, property string) string {
	if d.child != "" && strings.EqualFold(d.child, name) {
		return d.content.Path(property)
	}
	return d.content.Path(fmt.Sprintf("properties.%s[%d].%s", list, at, property))
}

// kept are the inert values below a canonical prefix, as JSON by the property's name.
func (d *draft) kept(prefix string) map[string]string {
	var kept map[string]string
	for _, value := range d.content.Inert {
		name, below := strings.CutPrefix(value.Path, prefix)
		if !below || strings.ContainsAny(name, ".[") {
			continue
		}
		text, err := json.Marshal(value.Value)
		if err != nil {
			continue // it was JSON when it came
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[name] = string(text)
	}
	return kept
}

// keep gives kept values back.
func keep(properties object, kept map[string]string) {
	for name, text := range kept {
		properties[name] = json.RawMessage(text)
	}
}

// reference is the object that a body refers to by its id, if it is there and
// the caller may join something to it; "" if a field error says why it is not.
// What was referred to before is not asked for again.
func (d *draft) reference(k *kind, id, before, path string) (string, error) {
	parsed, err := arm.ParseResourceID(id)
	if err != nil || !strings.EqualFold(parsed.Type(), Namespace+"/"+k.name) {
		d.fields.Add("InvalidResourceReference", path, "'%.300s' is not the id of a resource of the type %s/%s.", id, Namespace, k.name)
		return "", nil
	}
	name := naming.Object(parsed.String())
	if name == before {
		return name, nil
	}
	if err := d.p.linked(d.r, Namespace+"/"+k.name+"/join/action", parsed); err != nil {
		return "", err
	}
	if !strings.EqualFold(parsed.SubscriptionID, d.r.Param("subscriptionID")) {
		d.fields.Add("InvalidResourceReference", path, "Resource %s lies in another subscription than what refers to it.", parsed)
		return "", nil
	}
	o, err := find(d.r.Context(), d.p.Client, k, parsed)
	if err != nil {
		return "", err
	}
	if o == nil || o.GetDeletionTimestamp() != nil {
		d.fields.Add("InvalidResourceReference", path, "Resource %s referenced by resource %s was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.", parsed, d.next.Common().ResourceID)
		return "", nil
	}
	return name, nil
}

// linked checks the caller's permission on another resource than that of the path.
func (p *Provider) linked(r *arm.Request, action string, id arm.ResourceID) error {
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	err = access.Check(action, id.String())
	var refused *arm.Error
	if errors.As(err, &refused) {
		return arm.NewError(http.StatusForbidden, "LinkedAuthorizationFailed", "%s", refused.Message)
	}
	return err
}
