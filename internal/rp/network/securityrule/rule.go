// Package securityrule is the wire form of security rules, what they have to
// be, and the rules that every security group ends with. It knows no request
// and stores nothing.
package securityrule

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

// Problem is what is wrong with a rule: the code, the property at fault below
// the rule's properties, and what to do.
type Problem struct {
	Code, Property, Message string
	// Rule is the index of the rule.
	Rule int
}

// Wire are the properties of a rule in a body. A list and its single form are
// two properties, of which a rule has one.
type Wire struct {
	Description                string   `json:"description"`
	Protocol                   string   `json:"protocol"`
	Access                     string   `json:"access"`
	Direction                  string   `json:"direction"`
	Priority                   int32    `json:"priority"`
	SourcePortRange            string   `json:"sourcePortRange"`
	SourcePortRanges           []string `json:"sourcePortRanges"`
	DestinationPortRange       string   `json:"destinationPortRange"`
	DestinationPortRanges      []string `json:"destinationPortRanges"`
	SourceAddressPrefix        string   `json:"sourceAddressPrefix"`
	SourceAddressPrefixes      []string `json:"sourceAddressPrefixes"`
	DestinationAddressPrefix   string   `json:"destinationAddressPrefix"`
	DestinationAddressPrefixes []string `json:"destinationAddressPrefixes"`
}

// Hub is a rule as it is stored.
func (w Wire) Hub(name string) networkv1.SecurityRule {
	return networkv1.SecurityRule{
		Name: name, Description: w.Description, Priority: w.Priority,
		Direction: spelled(w.Direction, "Inbound", "Outbound"), Access: spelled(w.Access, "Allow", "Deny"), Protocol: spelled(w.Protocol, "Tcp", "Udp", "Icmp", "*"),
		SourcePrefixes: tags(either(w.SourceAddressPrefixes, w.SourceAddressPrefix)), DestinationPrefixes: tags(either(w.DestinationAddressPrefixes, w.DestinationAddressPrefix)),
		SourcePorts: either(w.SourcePortRanges, w.SourcePortRange), DestinationPorts: either(w.DestinationPortRanges, w.DestinationPortRange),
	}
}

// either is the list, or the single value as one.
func either(list []string, single string) []string {
	if len(list) > 0 || single == "" {
		return list
	}
	return []string{single}
}

// spelled is a word in its own casing.
func spelled(word string, words ...string) string {
	for _, known := range words {
		if strings.EqualFold(known, word) {
			return known
		}
	}
	return word
}

// Tags are the service tags that rules may name.
func Tags() []string {
	return []string{string(network.TagVirtualNetwork), string(network.TagLoadBalancer), string(network.TagInternet)}
}

func tags(list []string) []string {
	list = slices.Clone(list)
	for i := range list {
		list[i] = spelled(list[i], Tags()...)
	}
	return list
}

// Body are the properties of a rule on the wire.
func Body(rule networkv1.SecurityRule, state string) map[string]any {
	body := map[string]any{
		"provisioningState": state, "priority": rule.Priority, "direction": rule.Direction, "access": rule.Access, "protocol": rule.Protocol,
	}
	if rule.Description != "" {
		body["description"] = rule.Description
	}
	for name, list := range map[string][]string{
		"sourcePortRange": rule.SourcePorts, "destinationPortRange": rule.DestinationPorts,
		"sourceAddressPrefix": rule.SourcePrefixes, "destinationAddressPrefix": rule.DestinationPrefixes,
	} {
		plural := name + "s"
		if strings.HasSuffix(name, "Prefix") {
			plural = name + "es"
		}
		body[plural] = []string{}
		if len(list) == 1 {
			body[name] = list[0]
		} else {
			body[plural] = list
		}
	}
	return body
}

// Check holds the rules of a group against each other and against what can be done.
func Check(rules []networkv1.SecurityRule) []Problem {
	var problems []Problem
	for i, rule := range rules {
		for _, problem := range checkOne(rule) {
			problem.Rule = i
			problems = append(problems, problem)
		}
		for _, other := range rules[:i] {
			switch {
			case strings.EqualFold(other.Name, rule.Name):
				problems = append(problems, Problem{Rule: i, Code: "InvalidRequestFormat", Property: "name", Message: fmt.Sprintf("There are two rules of the name '%s'.", rule.Name)})
			case other.Direction == rule.Direction && other.Priority == rule.Priority:
				problems = append(problems, Problem{Rule: i, Code: "SecurityRuleConflict", Property: "priority", Message: fmt.Sprintf(
					"Security rule %s conflicts with rule %s. Rules cannot have the same Priority and Direction (%d, %s).", rule.Name, other.Name, rule.Priority, rule.Direction)})
			}
		}
	}
	return problems
}

func checkOne(rule networkv1.SecurityRule) []Problem {
	var problems []Problem
	bad := func(code, property, format string, arguments ...any) {
		problems = append(problems, Problem{Code: code, Property: property, Message: fmt.Sprintf("Security rule '%s': ", rule.Name) + fmt.Sprintf(format, arguments...)})
	}
	if !regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,78}[A-Za-z0-9_])?$`).MatchString(rule.Name) {
		bad("InvalidResourceName", "name", "the name has 1 to 80 letters, digits and the characters . _ -, begins with a letter or digit and does not end with . or -.")
	}
	if rule.Priority < 100 || rule.Priority > 4096 {
		bad("SecurityRuleInvalidPriority", "priority", "the priority %d is not between 100 and 4096.", rule.Priority)
	}
	for property, words := range map[string][]string{"direction": {rule.Direction, "Inbound", "Outbound"}, "access": {rule.Access, "Allow", "Deny"}} {
		if !slices.Contains(words[1:], words[0]) {
			bad("SecurityRuleParameterContainsUnsupportedValue", property, "'%.40s' is none of %s.", words[0], strings.Join(words[1:], ", "))
		}
	}
	if !slices.Contains([]string{"Tcp", "Udp", "Icmp", "*"}, rule.Protocol) {
		bad("SecurityRuleParameterContainsUnsupportedValue", "protocol", "'%.40s' is not built. Supported: Tcp, Udp, Icmp, *.", rule.Protocol)
	}
	for property, ports := range map[string][]string{"sourcePortRange": rule.SourcePorts, "destinationPortRange": rule.DestinationPorts} {
		if problem := checkPorts(ports); problem != "" {
			bad("SecurityRuleInvalidPortRange", property, "%s", problem)
		}
	}
	for property, prefixes := range map[string][]string{"sourceAddressPrefix": rule.SourcePrefixes, "destinationAddressPrefix": rule.DestinationPrefixes} {
		if problem := checkPrefixes(prefixes); problem != "" {
			bad("SecurityRuleInvalidAddressPrefix", property, "%s", problem)
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Property, b.Property) })
	return problems
}

func checkPorts(ports []string) string {
	if len(ports) == 0 {
		return "the port range is missing: give *, a port, or a range like 8000-8999."
	}
	for _, text := range ports {
		if text == "*" {
			if len(ports) > 1 {
				return "* stands for all ports and has to stand alone."
			}
			continue
		}
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		to, lastErr := strconv.ParseUint(last, 10, 16)
		if err != nil || lastErr != nil || from > to {
			return fmt.Sprintf("'%.40s' is not a port, a range like 8000-8999, or *.", text)
		}
	}
	return ""
}

func checkPrefixes(prefixes []string) string {
	if len(prefixes) == 0 {
		return "the address prefix is missing: give *, an address, a range like 10.0.0.0/24 or a service tag."
	}
	for _, text := range prefixes {
		named := text == "*" || slices.Contains(Tags(), text)
		if named && len(prefixes) > 1 {
			return fmt.Sprintf("'%s' has to stand alone: a list has addresses and ranges.", text)
		}
		if named {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil:
			return fmt.Sprintf("'%.100s' is not an address, a range like 10.0.0.0/24, * or one of the service tags that are built (%s).", text, strings.Join(Tags(), ", "))
		case !prefix.Addr().Is4():
			return fmt.Sprintf("'%.100s' is of IPv6, which is not built.", text)
		case prefix != prefix.Masked():
			return fmt.Sprintf("'%.100s' has an invalid CIDR notation. For the given prefix length, the address prefix should be %s.", text, prefix.Masked())
		}
	}
	return ""
}

// Defaults are the rules that every group ends with, as networks have them.
func Defaults() []networkv1.SecurityRule {
	words := map[string]string{
		"AllowVnetInBound":              "Allow inbound traffic from all VMs in VNET",
		"AllowAzureLoadBalancerInBound": "Allow inbound traffic from azure load balancer",
		"DenyAllInBound":                "Deny all inbound traffic",
		"AllowVnetOutBound":             "Allow outbound traffic from all VMs to all VMs in VNET",
		"AllowInternetOutBound":         "Allow outbound traffic from all VMs to Internet",
		"DenyAllOutBound":               "Deny all outbound traffic",
	}
	everything := []string{"*"}
	var rules []networkv1.SecurityRule
	for _, rule := range network.DefaultSecurityRules() {
		access := "Deny"
		if rule.Allow {
			access = "Allow"
		}
		rules = append(rules, networkv1.SecurityRule{
			Name: rule.Name, Description: words[rule.Name], Priority: int32(rule.Priority), Direction: string(rule.Direction), Access: access, Protocol: "*",
			SourcePrefixes: peers(rule.Sources), DestinationPrefixes: peers(rule.Destinations), SourcePorts: everything, DestinationPorts: everything,
		})
	}
	return rules
}

func peers(p network.Peers) []string {
	if len(p.Tags) == 0 {
		return []string{"*"}
	}
	return []string{string(p.Tags[0])}
}
