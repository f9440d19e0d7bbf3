package network

import (
	"fmt"
	"slices"
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/rp/network/securityrule"
)

func securityGroups() *kind {
	return &kind{
		name: "networkSecurityGroups", hub: "NetworkSecurityGroup", pattern: resourceName, form: resourceNameForm,
		table: securityrule.GroupProperties(),
		empty: func() networkv1.Object { return &networkv1.NetworkSecurityGroup{} },
		read:  readGroup, properties: groupBody, inUse: "InUseNetworkSecurityGroupCannotBeDeleted", defaults: defaultRules,
		users: func(s *snapshot, o networkv1.Object) ([]string, error) {
			return s.subnetsWith(func(n networkv1.Subnet) bool { return n.NetworkSecurityGroupName == o.GetName() })
		},
		child: &child{
			name: "securityRules", pattern: resourceName, form: resourceNameForm, table: securityrule.Properties(), read: readRule,
			index: func(o networkv1.Object, name string) int { return ruleIndex(group(o).Spec.Rules, name) },
			drop: func(o networkv1.Object, at int) {
				spec := &group(o).Spec
				spec.Rules = slices.Delete(spec.Rules, at, at+1)
			},
		},
	}
}

// group is an object of the kind that securityGroups makes.
func group(o networkv1.Object) *networkv1.NetworkSecurityGroup {
	return o.(*networkv1.NetworkSecurityGroup) //nolint:errcheck,forcetypeassert // kinds hand their own objects on
}

func ruleIndex(rules []networkv1.SecurityRule, name string) int {
	return slices.IndexFunc(rules, func(r networkv1.SecurityRule) bool { return strings.EqualFold(r.Name, name) })
}

type ruleWire struct {
	Name       string            `json:"name"`
	Properties securityrule.Wire `json:"properties"`
}

type groupWire struct {
	Properties struct {
		Rules []ruleWire `json:"securityRules"`
	} `json:"properties"`
}

// readGroup puts a body into the next group. Without a list of rules they stay
// as they are.
func readGroup(d *draft) error {
	var sent groupWire
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	spec := &group(d.next).Spec
	if d.content.Has("properties.securityRules") {
		spec.Rules = nil
		for _, wire := range sent.Properties.Rules {
			spec.Rules = append(spec.Rules, wire.Properties.Hub(wire.Name))
		}
	}
	d.checkRules(spec.Rules)
	return nil
}

// readRule puts the body of one rule into the next group.
func readRule(d *draft) error {
	var sent ruleWire
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	spec := &group(d.next).Spec
	rule := sent.Properties.Hub(d.child)
	if at := ruleIndex(spec.Rules, d.child); at >= 0 {
		rule.Name = spec.Rules[at].Name
		spec.Rules[at] = rule
	} else {
		spec.Rules = append(spec.Rules, rule)
	}
	if len(spec.Rules) > 1000 {
		d.fields.Add("SecurityRuleLimitExceeded", "name", "The security group has 1000 rules already, the most that it may have.")
	}
	d.checkRules(spec.Rules)
	return nil
}

func (d *draft) checkRules(rules []networkv1.SecurityRule) {
	for _, problem := range securityrule.Check(rules) {
		property := "properties." + problem.Property
		if problem.Property == "name" {
			property = "name"
		}
		d.fields.Add(problem.Code, d.nested("securityRules", problem.Rule, rules[problem.Rule].Name, property), "%s", problem.Message)
	}
}

// groupBody are a group's properties on the wire.
func groupBody(s *snapshot, o networkv1.Object) (object, error) {
	rules := []object{}
	for _, rule := range group(o).Spec.Rules {
		rules = append(rules, object{"name": rule.Name, "properties": object(securityrule.Body(rule, succeeded))})
	}
	body := object{"securityRules": rules}
	return body, s.addSubnets(body, func(n networkv1.Subnet) bool { return n.NetworkSecurityGroupName == o.GetName() })
}

// addSubnets adds the subnets that refer to something.
func (s *snapshot) addSubnets(body object, refers func(networkv1.Subnet) bool) error {
	ids, err := s.subnetsWith(refers)
	if err != nil || len(ids) == 0 {
		return err
	}
	subnets := make([]object, 0, len(ids))
	for _, id := range ids {
		subnets = append(subnets, object{"id": id})
	}
	body["subnets"] = subnets
	return nil
}

// defaultRules are the rules that a group of an id ends with, on the wire.
func defaultRules(id string) []object {
	var list []object
	for _, rule := range securityrule.Defaults() {
		list = append(list, object{
			"id": fmt.Sprintf("%s/defaultSecurityRules/%s", id, rule.Name), "name": rule.Name,
			"type": Namespace + "/networkSecurityGroups/defaultSecurityRules", "properties": object(securityrule.Body(rule, succeeded)),
		})
	}
	return list
}
