package resources

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// Answer is what a resource provider answered.
type Answer struct {
	Status int
	Body   []byte
}

// tagScope is the path of what a request about tags is about.
func tagScope(r *arm.Request) string {
	if r.Param("resourceGroup") == "" {
		return "/subscriptions/" + r.Param("subscriptionID")
	}
	path := GroupID(r.Param("subscriptionID"), r.Param("resourceGroup"))
	if name := r.Param("name"); name != "" {
		path.Provider, path.Types, path.Names = r.Param("namespace"), []string{r.Param("type")}, []string{name}
	}
	return path.String()
}

// readTags asks the resource provider for the tags of the scope.
func (p *Provider) readTags(r *arm.Request) (map[string]string, error) {
	if r.Param("resourceGroup") == "" {
		subscription, err := p.subscription(r.Context(), r.Param("subscriptionID"))
		if err != nil {
			return nil, err
		}
		tags := map[string]string{}
		maps.Copy(tags, subscription.Spec.Tags)
		return tags, nil
	}
	answer, err := p.Forward(r, http.MethodGet, tagScope(r), nil)
	if err != nil {
		return nil, err
	}
	var body struct {
		Tags map[string]string `json:"tags"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		return nil, err
	}
	if body.Tags == nil {
		body.Tags = map[string]string{}
	}
	return body.Tags, nil
}

// writeTags lets the resource provider replace the tags of the scope.
func (p *Provider) writeTags(r *arm.Request, tags map[string]string) error {
	if r.Param("resourceGroup") == "" {
		_, err := p.changeSubscription(r, func(spec *resourcesv1alpha1.SubscriptionSpec) { spec.Tags = tags })
		return err
	}
	body, err := json.Marshal(map[string]any{"tags": tags})
	if err != nil {
		return err
	}
	_, err = p.Forward(r, http.MethodPatch, tagScope(r), body)
	return err
}

func tagsBody(r *arm.Request, tags map[string]string) map[string]any {
	return map[string]any{
		"id": tagScope(r) + "/providers/Microsoft.Resources/tags/default", "name": "default", "type": "Microsoft.Resources/tags",
		"properties": map[string]any{"tags": tags},
	}
}

// tagsRequest is the body of a write; Operation is that of a PATCH.
type tagsRequest struct {
	Operation  string `json:"operation"`
	Properties struct {
		Tags map[string]string `json:"tags"`
	} `json:"properties"`
}

func readTagsRequest(r *arm.Request) (tagsRequest, error) {
	var request tagsRequest
	schema, err := arm.NewSchema([]arm.Property{
		{Path: "id", Kind: arm.Any, Use: arm.ReadOnly}, {Path: "name", Kind: arm.Any, Use: arm.ReadOnly}, {Path: "type", Kind: arm.Any, Use: arm.ReadOnly},
		{Path: "operation", Kind: arm.String}, {Path: "properties", Kind: arm.Object},
		{Path: "properties.tags", Kind: arm.Map}, {Path: "properties.tags{}", Kind: arm.String},
	})
	if err != nil {
		return request, err
	}
	fields := &arm.FieldErrors{}
	body, err := schema.Read(r.Body, fields)
	if err != nil {
		return request, err
	}
	if fields.Malformed() {
		return request, fields.Err()
	}
	if err := body.Decode(&request); err != nil {
		return request, err
	}
	switch operation := strings.ToLower(request.Operation); {
	case r.Method == http.MethodPatch && !slices.Contains([]string{"replace", "merge", "delete"}, operation):
		fields.Invalid(body.Path("operation"), "The operation '%.40s' is none of Replace, Merge and Delete.", request.Operation)
	case !body.Has("properties.tags"):
		fields.Invalid(body.Path("properties.tags"), "The tags are missing.")
	}
	CheckTags(request.Properties.Tags, body.Path("properties.tags"), fields)
	return request, fields.Err()
}

func (p *Provider) getTags(w http.ResponseWriter, r *arm.Request) error {
	tags, err := p.readTags(r)
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, tagsBody(r, tags))
}

// putTags replaces all tags.
func (p *Provider) putTags(w http.ResponseWriter, r *arm.Request) error {
	request, err := readTagsRequest(r)
	if err != nil {
		return err
	}
	if err := p.writeTags(r, request.Properties.Tags); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, tagsBody(r, request.Properties.Tags))
}

// patchTags merges tags in, takes some away, or replaces all.
func (p *Provider) patchTags(w http.ResponseWriter, r *arm.Request) error {
	request, err := readTagsRequest(r)
	if err != nil {
		return err
	}
	tags, err := p.readTags(r)
	if err != nil {
		return err
	}
	switch given := request.Properties.Tags; strings.ToLower(request.Operation) {
	case "merge":
		for key, value := range given {
			deleteTag(tags, key)
			tags[key] = value
		}
	case "delete":
		for key, value := range given {
			if hasTag(tags, key, value) {
				deleteTag(tags, key)
			}
		}
	default:
		tags = given
	}
	if err := p.writeTags(r, tags); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, tagsBody(r, tags))
}

// deleteTag takes a tag away; names compare regardless of case.
func deleteTag(tags map[string]string, name string) {
	maps.DeleteFunc(tags, func(key, _ string) bool { return strings.EqualFold(key, name) })
}

func (p *Provider) deleteTags(w http.ResponseWriter, r *arm.Request) error {
	if err := p.writeTags(r, map[string]string{}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// listTagNames lists the tags that a subscription, its groups and resources have.
func (p *Provider) listTagNames(w http.ResponseWriter, r *arm.Request) error {
	subscriptionID := strings.ToLower(r.Param("subscriptionID"))
	counts := map[string]map[string]int{}
	count := func(tags map[string]string) {
		for key, value := range tags {
			if counts[key] == nil {
				counts[key] = map[string]int{}
			}
			counts[key][value]++
		}
	}
	own, err := p.subscription(r.Context(), subscriptionID)
	if err != nil {
		return err
	}
	count(own.Spec.Tags)
	var groups resourcesv1alpha1.ResourceGroupList
	if err := p.Client.List(r.Context(), &groups, client.MatchingLabels{SubscriptionLabel: subscriptionID}); err != nil {
		return err
	}
	for i := range groups.Items {
		count(groups.Items[i].Spec.Tags)
	}
	for _, n := range p.Namespaces {
		if n.List == nil {
			continue
		}
		all, err := n.List(r.Context(), subscriptionID, "")
		if err != nil {
			return err
		}
		for _, resource := range all {
			count(resource.Tags)
		}
	}
	page, err := arm.Page(r, tagNames("/subscriptions/"+subscriptionID+"/tagNames/", counts), func(tag map[string]any) string { return tag["id"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// tagNames are tags on the wire, from how often each name has each value.
func tagNames(base string, counts map[string]map[string]int) []map[string]any {
	tags := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		total, values := 0, []map[string]any{}
		for _, text := range slices.Sorted(maps.Keys(counts[name])) {
			n := counts[name][text]
			total += n
			values = append(values, map[string]any{
				"id": base + name + "/tagValues/" + text, "tagValue": text, "count": map[string]any{"type": "Total", "value": n},
			})
		}
		tags = append(tags, map[string]any{"id": base + name, "tagName": name, "count": map[string]any{"type": "Total", "value": total}, "values": values})
	}
	return tags
}
