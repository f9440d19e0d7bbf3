package linux

import (
	"strings"
	"testing"

	"berth.dev/berth/internal/naming"
)

// maxLinkName is the longest name that the kernel takes.
const maxLinkName = 15

func TestNamesOfLinksFit(t *testing.T) {
	n := names{naming.Instance()}
	if err := n.validate(); err != nil {
		t.Fatal(err)
	}
	id := naming.Incarnation()
	for _, name := range []string{n.hostLink(), n.networkLink(id), n.endpointLink(id), n.portLink(id), hostLink, uplink, machineLink} {
		if len(name) > maxLinkName {
			t.Errorf("link name %q has more than %d characters", name, maxLinkName)
		}
	}
}

func TestInstancesThatDoNotFitInNamesAreRefused(t *testing.T) {
	for _, instance := range []string{"", "elevenchars", "a-b", "../x", "A"} {
		if err := (names{instance}).validate(); err == nil {
			t.Errorf("instance %q was taken", instance)
		}
		if _, err := Leftovers(instance); err == nil {
			t.Errorf("Leftovers(%q) looked for it", instance)
		}
		if _, _, err := New(Options{Instance: instance}).List(t.Context()); err == nil {
			t.Errorf("List() of instance %q looked for it", instance)
		}
	}
}

func TestIDsAreReadBackFromTheNamesOfNamespaces(t *testing.T) {
	n := names{"ab3d"}
	file := func(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
	if id, ok := n.endpointID(file(n.endpoint("api"))); !ok || id != "api" {
		t.Errorf("endpointID() = %q, %v", id, ok)
	}
	if id, ok := n.networkID(file(n.router("net"))); !ok || id != "net" {
		t.Errorf("networkID() = %q, %v", id, ok)
	}
	for _, other := range []string{file(n.edge()), file(names{"ab3e"}.endpoint("api")), "docker"} {
		if id, ok := n.endpointID(other); ok {
			t.Errorf("endpointID(%q) = %q", other, id)
		}
	}
}

func TestInstancesAreMarkedApart(t *testing.T) {
	if (names{"ab3d"}).mark() == (names{"ab3e"}).mark() {
		t.Error("two instances have one mark")
	}
	if got := (names{"ab3d"}).mark() >> 24; got != 'B' {
		t.Errorf("mark() begins with %#x", got)
	}
}

func TestTheHardwareAddressOfAPortIsKnownAndUnicast(t *testing.T) {
	address := portHardware("abcdefghij")
	if len(address) != 6 || address[0]&1 != 0 || !isPortHardware(address) {
		t.Errorf("portHardware() = %s", address)
	}
	if portHardware("abcdefghij").String() != address.String() || portHardware("abcdefghik").String() == address.String() {
		t.Error("a hardware address does not follow the port")
	}
}
