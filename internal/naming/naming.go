// Package naming makes the two kinds of names that Berth uses. Names of
// objects derive from ARM ids and serve uniqueness only; names of everything
// external come from an incarnation, a random word that is stored before use,
// so that a thing deleted and made again never meets its former self.
package naming

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/netip"
	"strings"

	"github.com/google/uuid"
)

// SystemNamespace is the namespace of the management API that holds Secrets.
const SystemNamespace = "berth-system"

// LocalHost is the name of the Host object of a single-machine install.
const LocalHost = "local"

// Object is the name of the object that stands for an ARM id: the id's last
// segment, readable, and a hash of the whole id in lower case.
func Object(armID string) string {
	id := strings.ToLower(strings.TrimSuffix(armID, "/"))
	sum := sha256.Sum256([]byte(id))
	return slug(id[strings.LastIndexByte(id, '/')+1:], 40) + "-" + hex.EncodeToString(sum[:6])
}

// Incarnation is a fresh random word of ten characters that starts with a
// letter: 49 bits, fit for file, link, namespace and object names alike.
func Incarnation() string {
	return word(10)
}

// KubeletIdentity is the client id and the object id of the identity that a
// cluster of an incarnation has for its nodes, if no other was given to them.
func KubeletIdentity(clusterIncarnation string) (clientID, objectID string) {
	own := uuid.NewSHA1(uuid.NameSpaceURL, []byte(clusterIncarnation))
	return uuid.NewSHA1(own, []byte("kubeletidentity/client")).String(), uuid.NewSHA1(own, []byte("kubeletidentity/object")).String()
}

// Instance is a fresh random word of four characters that tells one install on
// a host from another.
func Instance() string {
	return word(4)
}

// NodeName is the name of a node as AKS makes it:
// aks-<pool>-<8 digits of the pool>-vmss<index in base 36, six places>.
func NodeName(pool, poolIncarnation string, index int32) string {
	return fmt.Sprintf("aks-%s-%s-vmss%06s", pool, Digits(poolIncarnation), strings.ToLower(big.NewInt(int64(index)).Text(36)))
}

// ScaleSet is the name of a pool's scale set: what its nodes' names begin with.
func ScaleSet(pool, poolIncarnation string) string {
	return fmt.Sprintf("aks-%s-%s-vmss", pool, Digits(poolIncarnation))
}

// GUID is a GUID that an incarnation always has.
func GUID(incarnation string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(incarnation)).String()
}

// Digits are eight digits that tell what AKS makes for one cluster or pool from
// what it makes for another.
func Digits(incarnation string) string {
	sum := sha256.Sum256([]byte(incarnation))
	return fmt.Sprintf("%08d", new(big.Int).Mod(new(big.Int).SetBytes(sum[:8]), big.NewInt(100_000_000)))
}

// VirtualNetwork is the name of the object of a cluster's virtual network: made
// from its ARM id, or the cluster's incarnation where it has none because an
// earlier version made it.
func VirtualNetwork(armID, clusterIncarnation string) string {
	if armID == "" {
		return clusterIncarnation
	}
	return Object(armID)
}

// AgentPool is the name of the object that stands for one incarnation of a pool.
func AgentPool(pool, poolIncarnation string) string {
	return pool + "-" + poolIncarnation
}

// PublicIPAddress is the name of the object that claims an address.
func PublicIPAddress(address netip.Addr) string {
	return "ip-" + strings.NewReplacer(".", "-", ":", "-").Replace(address.String())
}

// Credentials is the name of the Secret with the CAs, keys and certificates of
// the cluster of an incarnation.
func Credentials(clusterIncarnation string) string {
	return clusterIncarnation + "-credentials"
}

// APIServer is the name of a cluster's API server in the domain of its region.
func APIServer(dnsPrefix, clusterIncarnation, domain string) string {
	return strings.ToLower(dnsPrefix) + "-" + clusterIncarnation[:8] + "." + domain
}

// APIServerDomain is the domain of a region's API servers in the install zone.
func APIServerDomain(location, zone string) string { return "hcp." + location + "." + zone }

// Issuer is the issuer of the service-account tokens of a cluster of a tenant.
func Issuer(location, zone, tenantID, clusterIncarnation string) string {
	return fmt.Sprintf("https://oidc.%s.%s/%s/%s/", location, zone, tenantID, clusterIncarnation)
}

// EtcdPrefix is the key prefix of a cluster in its datastore.
func EtcdPrefix(clusterIncarnation string) string { return "/berth/" + clusterIncarnation }

// slug keeps letters, digits and dashes of s, at most length of them.
func slug(s string, length int) string {
	mapped := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, s)
	if len(mapped) > length {
		mapped = mapped[:length]
	}
	if mapped = strings.Trim(mapped, "-"); mapped == "" {
		return "x"
	}
	return mapped
}

// word is n random characters of base 32 in lower case, the first a letter.
func word(n int) string {
	random := make([]byte, n)
	for {
		rand.Read(random) // never fails: crypto/rand ends the process instead
		w := strings.ToLower(base32.StdEncoding.EncodeToString(random))[:n]
		if w[0] >= 'a' {
			return w
		}
	}
}
