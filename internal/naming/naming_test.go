package naming

import (
	"net/netip"
	"regexp"
	"testing"
)

func TestObjectNamesFollowTheIDRegardlessOfCase(t *testing.T) {
	a := Object("/subscriptions/S/resourceGroups/RG/providers/Microsoft.ContainerService/managedClusters/Demo_1")
	b := Object("/subscriptions/s/resourcegroups/rg/providers/microsoft.containerservice/managedclusters/demo_1")
	if a != b {
		t.Errorf("Object() = %q and %q for one id in two casings", a, b)
	}
	if !regexp.MustCompile(`^demo-1-[0-9a-f]{12}$`).MatchString(a) {
		t.Errorf("Object() = %q, want demo-1-<12 hex digits>", a)
	}
}

func TestObjectNamesOfDifferentIDsDiffer(t *testing.T) {
	if Object("/a/demo") == Object("/b/demo") {
		t.Error("two ids that end alike got one name")
	}
}

func TestIncarnationsAreWordsOfTenThatStartWithALetter(t *testing.T) {
	valid := regexp.MustCompile(`^[a-z][a-z0-9]{9}$`)
	seen := map[string]bool{}
	for range 1000 {
		w := Incarnation()
		if !valid.MatchString(w) || seen[w] {
			t.Fatalf("Incarnation() = %q, seen before: %v", w, seen[w])
		}
		seen[w] = true
	}
}

func TestNodeNamesAreThoseOfAKS(t *testing.T) {
	got := NodeName("nodepool1", "abcdefghij", 36)
	if !regexp.MustCompile(`^aks-nodepool1-[0-9]{8}-vmss000010$`).MatchString(got) {
		t.Errorf("NodeName() = %q", got)
	}
}

func TestPublicIPAddressNamesAreValidObjectNames(t *testing.T) {
	if got := PublicIPAddress(netip.MustParseAddr("198.18.0.5")); got != "ip-198-18-0-5" {
		t.Errorf("PublicIPAddress() = %q", got)
	}
}
