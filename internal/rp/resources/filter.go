package resources

import (
	"strings"

	"berth.dev/berth/internal/arm"
)

// supportedFilters is what a refused $filter of a list of resources is told.
const supportedFilters = "resourceType eq, name eq, substringof('text', name), resourceGroup eq, substringof('text', resourceGroup), location eq, tagName eq, tagValue eq, joined by and"

// resourceFilter is the condition that a list's $filter puts on a resource.
func resourceFilter(r *arm.Request) (func(Resource) bool, error) {
	terms, err := r.Filter()
	if err != nil {
		return nil, err
	}
	var conditions []func(Resource) bool
	tagName, tagValue := "", ""
	for _, term := range terms {
		switch {
		case term.Is("tagName", false):
			tagName = term.Value
		case term.Is("tagValue", false):
			tagValue = term.Value
		default:
			condition := resourceCondition(term)
			if condition == nil {
				return nil, arm.UnsupportedFilter(term, supportedFilters)
			}
			conditions = append(conditions, condition)
		}
	}
	if tagName != "" || tagValue != "" {
		conditions = append(conditions, func(resource Resource) bool { return hasTag(resource.Tags, tagName, tagValue) })
	}
	return func(resource Resource) bool {
		for _, condition := range conditions {
			if !condition(resource) {
				return false
			}
		}
		return true
	}, nil
}

// resourceCondition is the condition of a single term, nil for one that is not known.
func resourceCondition(term arm.Term) func(Resource) bool {
	switch {
	case term.Is("resourceType", false):
		return func(resource Resource) bool { return strings.EqualFold(resource.Type, term.Value) }
	case term.Is("name", false):
		return func(resource Resource) bool { return strings.EqualFold(resource.Name, term.Value) }
	case term.Is("substringof", true) && strings.EqualFold(term.Property, "name"):
		return func(resource Resource) bool { return containsFold(resource.Name, term.Value) }
	case term.Is("substringof", true) && strings.EqualFold(term.Property, "resourceGroup"):
		return func(resource Resource) bool {
			id, err := arm.ParseResourceID(resource.ID)
			return err == nil && containsFold(id.ResourceGroup, term.Value)
		}
	case term.Is("location", false):
		return func(resource Resource) bool { return SameLocation(resource.Location, term.Value) }
	case term.Is("resourceGroup", false):
		return func(resource Resource) bool {
			id, err := arm.ParseResourceID(resource.ID)
			return err == nil && strings.EqualFold(id.ResourceGroup, term.Value)
		}
	}
	return nil
}

func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// hasTag says whether there is a tag of a name, which is compared regardless of
// case as ARM does, and of a value, which is not. Either may be left open.
func hasTag(tags map[string]string, name, value string) bool {
	for key, is := range tags {
		if (name == "" || strings.EqualFold(key, name)) && (value == "" || is == value) {
			return true
		}
	}
	return false
}

// expanded is a resource with what $expand asks for and no more.
func expanded(r *arm.Request, resource Resource) Resource {
	asked := "," + strings.ToLower(strings.ReplaceAll(r.URL.Query().Get("$expand"), " ", "")) + ","
	if !strings.Contains(asked, ",provisioningstate,") {
		resource.ProvisioningState = ""
	}
	if !strings.Contains(asked, ",createdtime,") {
		resource.CreatedTime = ""
	}
	return resource
}
