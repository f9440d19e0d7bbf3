package output

import "regexp"

// Flatten turns an ARM resource, or a list of them, into the shape that az
// prints: the fields of "properties" lie at the top, and everything that has
// an id in a resource group names that group. A property that would hide a
// field of the envelope is named as az's models name it, e.g.
// typePropertiesType.
func Flatten(value any) (any, error) {
	generic, err := Generic(value)
	if err != nil {
		return nil, err
	}
	for _, item := range list(generic) {
		if resource, ok := item.(map[string]any); ok {
			flattenOne(resource)
		}
	}
	addResourceGroup(generic, regexp.MustCompile(`(?i)^/subscriptions/[^/]+/resourceGroups/([^/]+)/providers/`))
	return generic, nil
}

func flattenOne(resource map[string]any) {
	properties, ok := resource["properties"].(map[string]any)
	if !ok {
		return
	}
	delete(resource, "properties")
	for key, value := range properties {
		if _, taken := resource[key]; taken {
			key += "Properties" + capitalized(key)
		}
		resource[key] = value
	}
}

func addResourceGroup(value any, inGroup *regexp.Regexp) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			addResourceGroup(item, inGroup)
		}
	case map[string]any:
		for _, item := range value {
			addResourceGroup(item, inGroup)
		}
		id, _ := value["id"].(string)
		if match := inGroup.FindStringSubmatch(id); match != nil && value["resourceGroup"] == nil {
			value["resourceGroup"] = match[1]
		}
	}
}
