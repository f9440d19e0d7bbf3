package frontend_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1alpha1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// otherNetworksAt is where another subscription has a group and a table of the
// names that a story uses.
func otherNetworksAt() string {
	return strings.Replace(networksAt, subscriptionID, "33333333-3333-4333-8333-333333333333", 1)
}

// networkStory makes requests of bytes: each picks one of what there is to choose.
type networkStory struct {
	choices []byte
}

// pick takes the next choice; the first once the bytes are used up.
func (s *networkStory) pick(from ...string) string {
	if len(s.choices) == 0 {
		return from[0]
	}
	choice := int(s.choices[0])
	s.choices = s.choices[1:]
	return from[choice%len(from)]
}

// some makes up to three of what one makes.
func (s *networkStory) some(one func() string) string {
	var all []string
	for range s.pick("x", "", "xx", "xxx") {
		all = append(all, one())
	}
	return strings.Join(all, ",")
}

func (s *networkStory) prefix() string {
	return s.pick("10.1.0.0/16", "10.1.0.0/24", "10.1.1.0/24", "10.1.0.128/25", "10.1.0.5/24", "10.1.0.0/29", "10.1.0.0/30", "10.2.0.0/16", "10.2.0.0/24",
		"0.0.0.0/0", "0.0.0.0/1", "169.254.0.0/16", "168.63.129.16/32", "127.0.0.0/8", "224.0.0.0/4", "198.18.0.0/24", "255.255.255.255/32", "fd00::/48", "::ffff:10.1.0.0/112",
		"10.1.0.0", "10.1.0.0/33", "10.01.0.0/16", "", "*", "VirtualNetwork", "Internet")
}

func (s *networkStory) name() string { return s.pick("a", "b", "A", "c", "", "a/b") }

func (s *networkStory) subnetProperties() string {
	at := s.pick(networksAt, strings.ToUpper(networksAt), otherNetworksAt(), "/")
	return fmt.Sprintf(`{"addressPrefix":%q%s%s}`, s.prefix(),
		s.pick("", fmt.Sprintf(`,"networkSecurityGroup":{"id":%q}`, at+"networkSecurityGroups/one")), s.pick("", fmt.Sprintf(`,"routeTable":{"id":%q}`, at+"routeTables/one")))
}

func (s *networkStory) ruleProperties() string {
	return fmt.Sprintf(`{"priority":%s,"direction":%q,"access":%q,"protocol":%q,"sourceAddressPrefix":%q,"sourcePortRange":"*","destinationAddressPrefix":%q,"destinationPortRange":%q}`,
		s.pick("100", "200", "4096", "99", "4097", "-1", "1e2", "null", `"100"`), s.pick("Inbound", "Outbound", "inbound", ""), s.pick("Allow", "Deny", "Maybe"), s.pick("Tcp", "Udp", "Icmp", "*", "tcp", "Esp"),
		s.prefix(), s.prefix(), s.pick("80", "*", "0-65535", "90-80", "65536", "80-", "-80", ""))
}

func (s *networkStory) routeProperties() string {
	return fmt.Sprintf(`{"addressPrefix":%q,"nextHopType":%q%s}`, s.prefix(), s.pick("VirtualAppliance", "VnetLocal", "Internet", "None", "VirtualNetworkGateway", "vnetlocal"),
		s.pick("", `,"nextHopIpAddress":"10.1.0.9"`, `,"nextHopIpAddress":"10.1.1.9"`, `,"nextHopIpAddress":"fd00::1"`, `,"nextHopIpAddress":"10.1.0.0/24"`))
}

// request is the next one.
func (s *networkStory) request() (method, path, body string) {
	named := func(properties func() string) func() string {
		return func() string { return fmt.Sprintf(`{"name":%q,"properties":%s}`, s.name(), properties()) }
	}
	located := func(properties string) string { return `{"location":"local","properties":` + properties + `}` }
	kind := s.pick("virtualNetworks", "subnets", "networkSecurityGroups", "securityRules", "routeTables", "routes", "delete")
	at := "/" + s.pick("one", "two", "ONE")
	switch kind {
	case "virtualNetworks":
		space := s.some(func() string { return fmt.Sprintf("%q", s.prefix()) })
		return http.MethodPut, kind + at, located(fmt.Sprintf(`{"addressSpace":{"addressPrefixes":[%s]},"subnets":[%s]}`, space, s.some(named(s.subnetProperties))))
	case "networkSecurityGroups":
		return http.MethodPut, kind + at, located(`{"securityRules":[` + s.some(named(s.ruleProperties)) + `]}`)
	case "routeTables":
		return http.MethodPut, kind + at, located(`{"routes":[` + s.some(named(s.routeProperties)) + `]}`)
	case "subnets":
		return http.MethodPut, "virtualNetworks" + at + "/subnets/" + s.pick("a", "b", "A", "c"), `{"properties":` + s.subnetProperties() + `}`
	case "securityRules":
		return http.MethodPut, "networkSecurityGroups" + at + "/securityRules/" + s.pick("a", "b", "A", "c"), `{"properties":` + s.ruleProperties() + `}`
	case "routes":
		return http.MethodPut, "routeTables" + at + "/routes/" + s.pick("a", "b", "A", "c"), `{"properties":` + s.routeProperties() + `}`
	}
	return http.MethodDelete, s.pick("virtualNetworks", "networkSecurityGroups", "routeTables") + at + s.pick("", "/subnets/a", "/securityRules/a", "/routes/a"), ""
}

// FuzzNoStoryOfNetworksBreaksARule makes networks, groups and tables one after the
// other, of good and of bad parts: nothing fails, what is refused writes nothing, what
// is stored keeps the rules of networks, and what is answered can be sent again.
func FuzzNoStoryOfNetworksBreaksARule(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4, 0, 0, 0, 9, 0, 1})
	f.Add([]byte{4, 0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 2, 0, 0, 1, 0, 1})
	f.Add([]byte{2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1})
	fuzzed := newFuzzed(f, false, nil)
	f.Fuzz(func(t *testing.T, choices []byte) {
		fuzzed.t = t
		fuzzed.clearNetworks(t)
		story := &networkStory{choices: choices}
		for n := 0; n < 12 && (n == 0 || len(story.choices) > 0); n++ {
			method, path, body := story.request()
			fuzzed.writes = 0
			answer := fuzzed.ask(t, method, networksAt+path+networkVersion, body)
			if answer != nil && answer.Code >= http.StatusBadRequest && fuzzed.writes > 0 {
				t.Errorf("%s %s with %s was refused with %d and wrote %d objects", method, path, body, answer.Code, fuzzed.writes)
			}
			fuzzed.expectSound(t, method+" "+path+" "+body)
		}
		fuzzed.expectRepeatable(t)
	})
}

// clearNetworks takes away what a story made and gives the other subscription its own.
func (f fuzzed) clearNetworks(t *testing.T) {
	t.Helper()
	for _, list := range []client.ObjectList{&networkv1alpha1.VirtualNetworkList{}, &networkv1alpha1.NetworkSecurityGroupList{}, &networkv1alpha1.RouteTableList{}} {
		for _, object := range f.networkObjects(t, list) {
			object.SetFinalizers(nil)
			if err := f.store.Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if object.GetDeletionTimestamp() == nil {
				if err := f.store.Delete(t.Context(), object); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	group := &networkv1alpha1.NetworkSecurityGroup{}
	group.Name, group.Spec.ResourceID = naming.Object(otherNetworksAt()+"networkSecurityGroups/one"), otherNetworksAt()+"networkSecurityGroups/one"
	table := &networkv1alpha1.RouteTable{}
	table.Name, table.Spec.ResourceID = naming.Object(otherNetworksAt()+"routeTables/one"), otherNetworksAt()+"routeTables/one"
	for _, object := range []client.Object{group, table} {
		if err := f.store.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

func (f fuzzed) networkObjects(t *testing.T, list client.ObjectList) []client.Object {
	t.Helper()
	if err := f.store.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	items, err := apimeta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]client.Object, len(items))
	for i, item := range items {
		all[i] = item.(client.Object) //nolint:errcheck,forcetypeassert // kinds of the management API
	}
	return all
}

// expectSound holds what is stored against the rules.
func (f fuzzed) expectSound(t *testing.T, after string) {
	t.Helper()
	foreign := map[string]bool{naming.Object(otherNetworksAt() + "networkSecurityGroups/one"): true, naming.Object(otherNetworksAt() + "routeTables/one"): true}
	for _, object := range f.networkObjects(t, &networkv1alpha1.VirtualNetworkList{}) {
		spec := object.(*networkv1alpha1.VirtualNetwork).Spec //nolint:errcheck,forcetypeassert // it is of that list
		space := canonical(t, after, spec.AddressSpace)
		var ranges, names []string
		for _, subnet := range spec.Subnets {
			ranges, names = append(ranges, subnet.CIDR), append(names, strings.ToLower(subnet.Name))
			if foreign[subnet.NetworkSecurityGroupName] || foreign[subnet.RouteTableName] {
				t.Errorf("after %s: subnet %s has what belongs to another subscription", after, subnet.Name)
			}
		}
		for _, subnet := range canonical(t, after, ranges) {
			within := false
			for _, whole := range space {
				within = within || whole.Bits() <= subnet.Bits() && whole.Contains(subnet.Addr())
			}
			if !within {
				t.Errorf("after %s: subnet %s lies outside of %v", after, subnet, space)
			}
		}
		unique(t, after, names)
	}
	for _, object := range f.networkObjects(t, &networkv1alpha1.NetworkSecurityGroupList{}) {
		var priorities, names []string
		for _, rule := range object.(*networkv1alpha1.NetworkSecurityGroup).Spec.Rules { //nolint:errcheck,forcetypeassert // it is of that list
			priorities, names = append(priorities, fmt.Sprint(rule.Direction, rule.Priority)), append(names, strings.ToLower(rule.Name))
			if rule.Priority < 100 || rule.Priority > 4096 {
				t.Errorf("after %s: rule %s has the priority %d", after, rule.Name, rule.Priority)
			}
		}
		unique(t, after, priorities)
		unique(t, after, names)
	}
	for _, object := range f.networkObjects(t, &networkv1alpha1.RouteTableList{}) {
		var prefixes, names []string
		for _, route := range object.(*networkv1alpha1.RouteTable).Spec.Routes { //nolint:errcheck,forcetypeassert // it is of that list
			prefixes, names = append(prefixes, route.Prefix), append(names, strings.ToLower(route.Name))
			if p, err := netip.ParsePrefix(route.Prefix); err != nil || p != p.Masked() || !p.Addr().Is4() {
				t.Errorf("after %s: route %s is of %q", after, route.Name, route.Prefix)
			}
		}
		unique(t, after, prefixes)
		unique(t, after, names)
	}
}

// canonical reads ranges, which have to be of IPv4, without host bits and disjoint.
func canonical(t *testing.T, after string, texts []string) []netip.Prefix {
	t.Helper()
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() || !p.Addr().Is4() {
			t.Errorf("after %s: %q is stored as a range", after, text)
			continue
		}
		for _, other := range all {
			if p.Overlaps(other) {
				t.Errorf("after %s: %s and %s overlap", after, p, other)
			}
		}
		all = append(all, p)
	}
	return all
}

func unique(t *testing.T, after string, texts []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, text := range texts {
		if seen[text] {
			t.Errorf("after %s: %q is there twice", after, text)
		}
		seen[text] = true
	}
}

// expectRepeatable sends what is answered again.
func (f fuzzed) expectRepeatable(t *testing.T) {
	t.Helper()
	for _, path := range []string{"networkSecurityGroups", "routeTables", "virtualNetworks"} {
		var list struct{ Value []json.RawMessage }
		answer := f.ask(t, http.MethodGet, networksAt+path+networkVersion, "")
		if err := json.Unmarshal(answer.Body.Bytes(), &list); answer.Code != http.StatusOK || err != nil {
			t.Fatalf("listing %s: %d %s", path, answer.Code, answer.Body)
		}
		for _, item := range list.Value {
			var resource struct {
				ID         string
				Properties struct{ ProvisioningState string }
			}
			if err := json.Unmarshal(item, &resource); err != nil {
				t.Fatal(err)
			}
			if resource.Properties.ProvisioningState == "Deleting" {
				continue
			}
			if again := f.ask(t, http.MethodPut, resource.ID+networkVersion, string(item)); again.Code != http.StatusOK {
				t.Errorf("sending %s again: %d %s", item, again.Code, again.Body)
			}
		}
	}
}
