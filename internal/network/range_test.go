package network

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseRangeTakesCanonicalIPv4RangesOnly(t *testing.T) {
	if got, err := ParseRange("10.244.0.0/16"); err != nil || got.String() != "10.244.0.0/16" {
		t.Errorf("ParseRange() = %v, %v", got, err)
	}
	for _, text := range []string{"", "10.244.0.0", "10.244.0.1/16", "fd00::/64", "10.244.0.0/33", "10.244.0/16"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("ParseRange(%q) = %v, want an error", text, got)
		}
	}
}

func TestRangesOfAClusterAreChecked(t *testing.T) {
	public := netip.MustParsePrefix("198.18.0.0/20")
	for _, test := range []struct {
		name  string
		err   error
		wants string // empty: no error
	}{
		{"an ordinary range is free", CheckReserved(netip.MustParsePrefix("10.0.0.0/8"), public), ""},
		{"AKS reserves 172.30.0.0/16", CheckReserved(netip.MustParsePrefix("172.16.0.0/12"), public), "172.30.0.0/16"},
		{"link-local is reserved", CheckReserved(netip.MustParsePrefix("169.254.4.0/24"), public), "169.254.0.0/16"},
		{"the public range is taken", CheckReserved(netip.MustParsePrefix("198.18.8.0/24"), public), "public addresses"},
		{"loopback cannot be used", CheckReserved(netip.MustParsePrefix("127.0.0.0/16"), public), "127.0.0.0/8"},
		{"multicast cannot be used", CheckReserved(netip.MustParsePrefix("239.0.0.0/8"), public), "224.0.0.0/3"},
		{"a /29 holds nodes", CheckNodeRange(netip.MustParsePrefix("10.0.0.0/29")), ""},
		{"a /30 does not", CheckNodeRange(netip.MustParsePrefix("10.0.0.0/30")), "too small"},
		{"a /25 is too small for pods", CheckPodRange(netip.MustParsePrefix("10.0.0.0/25")), "too small"},
		{"a /11 is too large for services", CheckServiceRange(netip.MustParsePrefix("10.0.0.0/11")), "too large"},
		{"a DNS address lies in the service range", CheckDNSServiceAddress(netip.MustParseAddr("10.1.0.10"), netip.MustParsePrefix("10.0.0.0/16")), "not in"},
		{"a DNS address is not the API's", CheckDNSServiceAddress(netip.MustParseAddr("10.0.0.1"), netip.MustParsePrefix("10.0.0.0/16")), "kubernetes service"},
		{"a DNS address is not the last", CheckDNSServiceAddress(netip.MustParseAddr("10.0.255.255"), netip.MustParsePrefix("10.0.0.0/16")), "last"},
		{"the usual DNS address is fine", CheckDNSServiceAddress(netip.MustParseAddr("10.0.0.10"), netip.MustParsePrefix("10.0.0.0/16")), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.wants == "" && test.err != nil || test.wants != "" && (test.err == nil || !strings.Contains(test.err.Error(), test.wants)) {
				t.Errorf("error = %v, want one with %q", test.err, test.wants)
			}
		})
	}
}
