package service

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The annotations of services that AKS documents and Berth acts on. All but the
// last begin with annotationPrefix.
const (
	annotationPrefix       = "service.beta.kubernetes.io/azure-"
	annotationInternal     = annotationPrefix + "load-balancer-internal"
	annotationSubnet       = annotationPrefix + "load-balancer-internal-subnet"
	annotationIPv4         = annotationPrefix + "load-balancer-ipv4"
	annotationIPv6         = annotationPrefix + "load-balancer-ipv6"
	annotationPIPName      = annotationPrefix + "pip-name"
	annotationGroup        = annotationPrefix + "load-balancer-resource-group"
	annotationIdle         = annotationPrefix + "load-balancer-tcp-idle-timeout"
	annotationNoReset      = annotationPrefix + "load-balancer-disable-tcp-reset"
	annotationAllowed      = annotationPrefix + "allowed-ip-ranges"
	annotationSourceRanges = "service.beta.kubernetes.io/load-balancer-source-ranges"
)

// The bounds of the idle timeout, in minutes, as Azure has them.
const (
	leastIdle = 4
	mostIdle  = 100
)

// refusedAnnotations change who may connect, or to what: to leave them aside
// would open what their author believes closed, or closed what he believes open.
func refusedAnnotations() []string {
	return []string{
		annotationPrefix + "allowed-service-tags", annotationPrefix + "deny-all-except-load-balancer-source-ranges",
		annotationPrefix + "pip-prefix-id", annotationPrefix + "additional-public-ips", annotationPrefix + "disable-load-balancer-floating-ip",
		annotationPrefix + "load-balancer-enable-high-availability-ports", annotationPrefix + "pls-create", annotationIPv6,
	}
}

// wish is what a service asks of its balancer.
type wish struct {
	internal bool
	// subnet is of an internal address; empty is that of the nodes.
	subnet string
	// address is the one that is asked for; invalid for any.
	address netip.Addr
	// reservation and group name a publicIPAddress; group is empty for the node
	// resource group.
	reservation, group string
	ranges             []netip.Prefix
	idle, affinity     time.Duration
	silent             bool
}

// static says that the service brings a public address of its own.
func (w wish) static() bool { return !w.internal && (w.address.IsValid() || w.reservation != "") }

// any says that every public address of the pool will do.
func (w wish) any() bool { return !w.internal && !w.static() }

// readWish reads a service. The error says, in words for its owner, why it
// cannot be balanced.
func readWish(service *corev1.Service) (wish, error) {
	if err := balanceable(service); err != nil {
		return wish{}, err
	}
	notes := service.Annotations
	w := wish{
		internal: notes[annotationInternal] == "true", subnet: notes[annotationSubnet],
		reservation: notes[annotationPIPName], group: notes[annotationGroup], silent: notes[annotationNoReset] == "true",
	}
	var errs []error
	var err error
	if w.address, err = requested(service); err != nil {
		errs = append(errs, err)
	}
	if w.idle, err = idle(notes[annotationIdle]); err != nil {
		errs = append(errs, err)
	}
	if w.ranges, err = sourceRanges(service); err != nil {
		errs = append(errs, err)
	}
	if w.internal && w.reservation != "" {
		errs = append(errs, fmt.Errorf("annotation %s names a public address, and %s asks for an internal one: remove one of them", annotationPIPName, annotationInternal))
	}
	if service.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		w.affinity = time.Duration(corev1.DefaultClientIPServiceAffinitySeconds) * time.Second
		if config := service.Spec.SessionAffinityConfig; config != nil && config.ClientIP != nil && config.ClientIP.TimeoutSeconds != nil {
			w.affinity = time.Duration(*config.ClientIP.TimeoutSeconds) * time.Second
		}
	}
	return w, errors.Join(errs...)
}

// balanceable says what of a service no balancer here can do.
func balanceable(service *corev1.Service) error {
	var errs []error
	if !slices.Contains(service.Spec.IPFamilies, corev1.IPv4Protocol) && len(service.Spec.IPFamilies) > 0 {
		errs = append(errs, errors.New("load balancers have IPv4 addresses only"))
	}
	if service.Spec.AllocateLoadBalancerNodePorts != nil && !*service.Spec.AllocateLoadBalancerNodePorts {
		errs = append(errs, errors.New("allocateLoadBalancerNodePorts must be true: the balancer forwards to node ports"))
	}
	for _, port := range service.Spec.Ports {
		if port.Protocol != corev1.ProtocolTCP && port.Protocol != corev1.ProtocolUDP && port.Protocol != "" {
			errs = append(errs, fmt.Errorf("port %d: protocol %s cannot be balanced, only TCP and UDP", port.Port, port.Protocol))
		}
	}
	for _, annotation := range refusedAnnotations() {
		if value := service.Annotations[annotation]; value != "" && value != "false" {
			errs = append(errs, fmt.Errorf("annotation %s is not built: remove it", annotation))
		}
	}
	return errors.Join(errs...)
}

// requested is the address that a service asks for, by its annotation or the field.
func requested(service *corev1.Service) (netip.Addr, error) {
	text := service.Annotations[annotationIPv4]
	if text == "" {
		text = service.Spec.LoadBalancerIP // deprecated, yet what callers still set
	}
	if text == "" {
		return netip.Addr{}, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() {
		return netip.Addr{}, fmt.Errorf("the address %q that is asked for is not an IPv4 address", text)
	}
	return address, nil
}

func idle(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	minutes, err := strconv.Atoi(text)
	if err != nil || minutes < leastIdle || minutes > mostIdle {
		return 0, fmt.Errorf("annotation %s is %q: give minutes from %d to %d", annotationIdle, text, leastIdle, mostIdle)
	}
	return time.Duration(minutes) * time.Minute, nil
}

// sourceRanges are the clients that a service admits, by its field and annotations.
func sourceRanges(service *corev1.Service) ([]netip.Prefix, error) {
	texts := slices.Clone(service.Spec.LoadBalancerSourceRanges)
	for _, annotation := range []string{annotationSourceRanges, annotationAllowed} {
		for text := range strings.SplitSeq(service.Annotations[annotation], ",") {
			if text = strings.TrimSpace(text); text != "" {
				texts = append(texts, text)
			}
		}
	}
	var ranges []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("source range %q is not a range such as 203.0.113.0/24", text)
		}
		if prefix.Addr().Is4() { // of an IPv6 range no client ever comes here
			ranges = append(ranges, prefix.Masked())
		}
	}
	if len(texts) > 0 && len(ranges) == 0 {
		return nil, errors.New("none of the source ranges is one of IPv4: no client could connect")
	}
	return ranges, nil
}
