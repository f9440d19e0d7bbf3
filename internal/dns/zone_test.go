package dns

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"berth.dev/berth/internal/supervise"
)

func zone(records ...Record) Zone {
	return Zone{Name: "berth.internal", Server: netip.MustParseAddr("198.18.0.3"), Records: records}
}

func record(name, address string) Record {
	return Record{Name: name, Address: netip.MustParseAddr(address)}
}

func serial(t *testing.T, z Zone) string {
	t.Helper()
	found := regexp.MustCompile(`hostmaster\.\S+ (\d+) `).FindSubmatch(z.File())
	if found == nil {
		t.Fatalf("no serial in\n%s", z.File())
	}
	return string(found[1])
}

func TestAZoneHasItsServerAndItsRecordsOnceInOrder(t *testing.T) {
	z := zone(record("b.hcp.local.berth.internal", "198.18.0.17"), record("A.hcp.local.berth.internal", "198.18.0.16"),
		record("b.hcp.local.berth.internal", "198.18.0.17"))
	lines := strings.Split(string(z.File()), "\n")
	want := []string{
		"$TTL 30",
		"berth.internal. IN SOA dns.berth.internal. hostmaster.berth.internal. " + serial(t, z) + " 3600 600 86400 5",
		"berth.internal. IN NS dns.berth.internal.",
		"a.hcp.local.berth.internal. IN A 198.18.0.16",
		"b.hcp.local.berth.internal. IN A 198.18.0.17",
		"dns.berth.internal. IN A 198.18.0.3",
		"",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the file is\n%s", got)
	}
}

func TestTheSerialFollowsTheRecordsAndNotTheirOrder(t *testing.T) {
	a, b := record("a.hcp.local.berth.internal", "198.18.0.16"), record("b.hcp.local.berth.internal", "198.18.0.17")
	if serial(t, zone(a, b)) != serial(t, zone(b, a)) {
		t.Error("another order is another serial: the server would read the zone again for nothing")
	}
	moved := record("a.hcp.local.berth.internal", "198.18.0.18")
	seen := map[string]bool{}
	for _, z := range []Zone{zone(), zone(a), zone(b), zone(a, b), zone(moved)} {
		seen[serial(t, z)] = true
	}
	if len(seen) != 5 {
		t.Errorf("5 zones have %d serials", len(seen))
	}
}

func TestWhatIsNoHostNameInTheZoneIsNotServed(t *testing.T) {
	for _, name := range []string{
		"", "berth.internal", ".berth.internal", "other.example", "xberth.internal", "a..berth.internal", "*.berth.internal",
		"-a.berth.internal", "a b.berth.internal", "a.berth.internal.", "$INCLUDE.berth.internal", "a\n@ IN NS evil.\nb.berth.internal",
		strings.Repeat("a", 64) + ".berth.internal", strings.Repeat("a.", 120) + "berth.internal",
	} {
		if hosts := zone(record(name, "198.18.0.16")).Hosts(); len(hosts) != 1 {
			t.Errorf("%q is served: %v", name, hosts)
		}
	}
	if hosts := zone(record("a.berth.internal", "fd00::1"), Record{Name: "b.berth.internal"}).Hosts(); len(hosts) != 1 {
		t.Errorf("an address that is none of IPv4 is served: %v", hosts)
	}
}

func TestTheServerAnswersForItsZoneAloneAndAsksNoOne(t *testing.T) {
	d := Desired{Zone: zone(), Program: "/bin/coredns"}
	corefile := string(d.Corefile())
	if !strings.HasPrefix(corefile, "berth.internal:53 {\n") || strings.Count(corefile, ":53") != 1 || strings.Contains(corefile, "forward") {
		t.Errorf("the Corefile is\n%s", corefile)
	}
	if !strings.Contains(corefile, "bind 198.18.0.3\n") {
		t.Errorf("it listens elsewhere:\n%s", corefile)
	}
}

func TestTheServersProcessReadsItsFilesAndIsRestartedOnlyForItsCorefile(t *testing.T) {
	d := Desired{Zone: zone(), Program: "/bin/coredns"}
	components := d.Components("/home/dns")
	if err := (supervise.Spec{Components: components}).Validate(); err != nil {
		t.Fatal(err)
	}
	c := components[0]
	corefile := filepath.Join("/home/dns", CorefileName)
	if c.Command[0] != "/bin/coredns" || c.Command[len(c.Command)-1] != corefile || c.Dir != "/home/dns" {
		t.Errorf("it runs %v in %s", c.Command, c.Dir)
	}
	if len(c.RestartOnChange) != 1 || c.RestartOnChange[0] != corefile {
		t.Errorf("it is restarted for %v", c.RestartOnChange)
	}
}
