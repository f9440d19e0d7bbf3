// Package dns owns the install zone as data: its names, the files that its
// server reads and the process that serves them. It is pure: it reads and
// writes nothing, and knows neither the management API nor how the process is
// kept running.
//
// The server is authoritative for the zone and for nothing else: a name that
// the zone does not have gets NXDOMAIN, a name outside of it REFUSED, and no
// one is ever asked on a client's behalf.
package dns

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// ttl and negativeTTL are how many seconds others may remember an answer, and
// that there is none. A cluster's name appears while someone may already ask for it.
const (
	ttl         = 30
	negativeTTL = 5
)

// Record is a name and its address.
type Record struct {
	// Name is fully qualified, without a dot at the end.
	Name string
	// Address is its IPv4 address.
	Address netip.Addr
}

// Zone is the install zone.
type Zone struct {
	// Name is the zone's, without a dot at the end.
	Name string
	// Server is the address that its server answers on.
	Server netip.Addr
	// Records are its names.
	Records []Record
}

// ServiceNames are the names of the service's own front end: for ARM, and for tokens.
func ServiceNames(location, zone string) (management, login string) {
	return "management." + location + "." + zone, "login." + location + "." + zone
}

// ServerName is the name of a zone's server, to which a delegation points.
func ServerName(zone string) string { return "dns." + zone }

// Hosts returns the zone's records as they are served: in order, each once,
// and without those that are no host names in the zone, which the server
// would reject together with all others.
func (z Zone) Hosts() []Record {
	var hosts []Record
	for _, r := range append([]Record{{Name: ServerName(z.Name), Address: z.Server}}, z.Records...) {
		r.Name = strings.ToLower(r.Name)
		if r.Address.Is4() && z.has(r.Name) {
			hosts = append(hosts, r)
		}
	}
	slices.SortFunc(hosts, func(a, b Record) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.Address.Compare(b.Address))
	})
	return slices.Compact(hosts)
}

// has says whether a name is a host name below the zone's own.
func (z Zone) has(name string) bool {
	const maxName = 253
	relative, below := strings.CutSuffix(name, "."+z.Name)
	if !below || len(name) > maxName {
		return false
	}
	label := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	for part := range strings.SplitSeq(relative, ".") {
		if !label.MatchString(part) {
			return false
		}
	}
	return true
}

// File is the zone in the format of RFC 1035. The server reads it again when
// the serial differs, so the serial is a digest of the records: nothing has to
// remember the last one, and no other server copies this zone.
func (z Zone) File() []byte {
	var records bytes.Buffer
	for _, r := range z.Hosts() {
		fmt.Fprintf(&records, "%s. IN A %s\n", r.Name, r.Address)
	}
	serial := fnv.New32a()
	serial.Write(records.Bytes())
	server := ServerName(z.Name)
	var file bytes.Buffer
	fmt.Fprintf(&file, "$TTL %d\n%s. IN SOA %s. hostmaster.%s. %d 3600 600 86400 %d\n", ttl, z.Name, server, z.Name, serial.Sum32(), negativeTTL)
	fmt.Fprintf(&file, "%s. IN NS %s.\n", z.Name, server)
	file.Write(records.Bytes())
	return file.Bytes()
}
