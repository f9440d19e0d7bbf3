//go:build e2e

package linux

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/network"
)

func TestNftListsAllRulesOfEveryNamespace(t *testing.T) {
	y := newYard(t)
	namespaces := []string{y.fabric.names.edge()}
	for _, n := range y.world.Networks {
		namespaces = append(namespaces, y.fabric.names.router(n.ID))
	}
	for _, endpoint := range y.world.Endpoints {
		namespaces = append(namespaces, y.fabric.names.endpoint(endpoint.ID))
	}
	listed := map[string]string{}
	for _, namespace := range namespaces {
		said, err := exec.Command("nsenter", "--net="+namespace, "nft", "list", "ruleset").CombinedOutput()
		if err != nil {
			t.Errorf("listing the rules of %s: %v: %s", namespace, err, said)
		}
		listed[namespace] = string(said)
	}
	// What a balanced connection's destination was decides too, and is told in nft's words.
	alpha := listed[y.fabric.names.router("alpha")]
	for _, want := range []string{"ct original ip daddr 10.1.1.4 ", "ct original ip daddr 10.245.0.0-255.255.255.255 ", "ct original proto-dst @"} {
		if !strings.Contains(alpha, want) {
			t.Errorf("%q is not in what nft lists:\n%s", want, alpha)
		}
	}
}

func TestABalancedConnectionIsHeldToItsFirstDestinationAmongFewAndMany(t *testing.T) {
	s := newSite(t)
	frontend := s.network.Frontends[0].Address
	for _, number := range []int{maxCompared, maxCompared + 1} {
		for _, among := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d with it: %t", number, among), func(t *testing.T) {
				shut := network.SecurityRule{Name: "shut", Priority: 100, Direction: network.Inbound}
				for i := range number { // none follows another
					shut.Destinations.Ranges = append(shut.Destinations.Ranges, netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 0, 0, byte(2 * i)}), 32))
				}
				if among {
					shut.Destinations.Ranges[number-1] = netip.PrefixFrom(frontend, 32)
				}
				s.network.Subnets[0].Rules = append([]network.SecurityRule{shut, network.AllowBalanced()}, network.DefaultSecurityRules()...)
				s.ensure(t)
				wait := 5 * time.Second
				if among {
					wait = 300 * time.Millisecond
				}
				if err := dial("", frontend, 80, wait); (err != nil) != among {
					t.Errorf("dialing the frontend: %v", err)
				}
			})
		}
	}
}
