package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/bootstrap"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
)

// The keys of a machine's Secret.
const (
	secretToken     = "token"
	secretProxyCert = "proxy.crt"
	secretProxyKey  = "proxy.key"
)

// The ports of a control plane that nodes reach.
const (
	apiServerPort    = 443
	konnectivityPort = 8132
)

// surroundings are what a machine needs of other objects.
type surroundings struct {
	// incarnation names the cluster's control plane.
	incarnation string
	network     containerservice.NetworkProfile
	// address is the API server's.
	address string
	// nameserver resolves the install zone.
	nameserver netip.Addr
	// clusterCA verifies it; published is the authority that every namespace has.
	clusterCA []byte
	published string
	// secret is the machine's own.
	secret map[string][]byte
}

// surroundings gathers them; a waitingFor error names what is not there yet.
func (r *machineReconciler) surroundings(ctx context.Context, object *containerservice.Machine) (surroundings, error) {
	var cluster containerservice.ManagedCluster
	if err := r.get(ctx, client.ObjectKey{Name: object.Spec.ClusterName}, &cluster, "the cluster"); err != nil {
		return surroundings{}, err
	}
	found := surroundings{incarnation: cluster.Spec.Incarnation, network: cluster.Spec.Network, nameserver: r.DNS.Zone.Server}
	var controlPlane containerservice.ControlPlane
	if err := r.get(ctx, client.ObjectKey{Name: found.incarnation}, &controlPlane, "the control plane"); err != nil {
		return found, err
	}
	found.address = controlPlane.Spec.Address
	var credentials, own corev1.Secret
	key := client.ObjectKey{Namespace: naming.SystemNamespace, Name: naming.Credentials(found.incarnation)}
	if err := r.get(ctx, key, &credentials, "the cluster's credentials"); err != nil {
		return found, err
	}
	found.clusterCA, found.published = credentials.Data[pki.ClusterCACert], credentials.Annotations[containerservice.AuthorityPublished]
	key.Name = object.Name
	if err := r.get(ctx, key, &own, "the machine's token"); err != nil {
		return found, err
	}
	found.secret = own.Data
	return found, nil
}

func (r *machineReconciler) get(ctx context.Context, key client.ObjectKey, object client.Object, what string) error {
	err := r.client.Get(ctx, key, object)
	if apierrors.IsNotFound(err) {
		return waitingFor(what)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}

// desiredMachine is the machine with the node in it.
func desiredMachine(object *containerservice.Machine, cluster surroundings, artifacts release.Artifacts) (machine.Desired, error) {
	size, known := machine.SizeByName(object.Spec.VMSize)
	if !known {
		return machine.Desired{}, fmt.Errorf("the size %s is not on offer", object.Spec.VMSize)
	}
	node, err := desiredNode(object, cluster, artifacts)
	if err != nil {
		return machine.Desired{}, err
	}
	files, components, err := bootstrap.Machine(node)
	if err != nil {
		return machine.Desired{}, err
	}
	return machine.Desired{
		ID: object.Spec.Incarnation, NodeName: object.Spec.NodeName, Size: size, DiskGiB: int(object.Spec.OSDiskSizeGB),
		Image: artifacts.NodeImage, Binaries: machineBinaries(artifacts.Binaries), CNI: artifacts.CNI, ImageArchives: artifacts.ImageArchives,
		IDRangeStart: int(object.Spec.IDRangeStart), Sysctls: object.Spec.Sysctls, Files: files, Components: components,
	}, nil
}

func desiredNode(object *containerservice.Machine, cluster surroundings, artifacts release.Artifacts) (bootstrap.Node, error) {
	address, addressErr := netip.ParseAddr(object.Spec.Address)
	pods, podsErr := podsOf(object)
	clusterPods, clusterPodsErr := optionalRange(cluster.network.PodCIDR)
	services, servicesErr := netip.ParsePrefix(cluster.network.ServiceCIDR)
	dns, dnsErr := netip.ParseAddr(cluster.network.DNSServiceIP)
	apiServer, apiServerErr := netip.ParseAddr(cluster.address)
	if err := errors.Join(addressErr, podsErr, clusterPodsErr, servicesErr, dnsErr, apiServerErr); err != nil {
		return bootstrap.Node{}, fmt.Errorf("reading the addresses of machine and cluster: %w", err)
	}
	return bootstrap.Node{
		Name: object.Spec.NodeName, Address: address, PodCIDR: pods.routed, PodAddresses: pods.addresses, PodSubnet: pods.subnet,
		BringsCNI:      cluster.network.Plugin == containerservice.NetworkPluginNone,
		ClusterPodCIDR: clusterPods, ServiceCIDR: services, ClusterDNS: dns,
		Nameserver: cluster.nameserver, MaxPods: int(object.Spec.MaxPods), Labels: nodeLabels(object, artifacts), Taints: object.Spec.Taints, ProviderID: object.Spec.ProviderID,
		APIServer:           "https://" + netip.AddrPortFrom(apiServer, apiServerPort).String(),
		KonnectivityAddress: netip.AddrPortFrom(apiServer, konnectivityPort).String(),
		ClusterCA:           cluster.clusterCA,
		Authority:           pki.AuthorityID(cluster.clusterCA),
		BootstrapToken:      string(cluster.secret[secretToken]),
		ProxyCert:           cluster.secret[secretProxyCert],
		ProxyKey:            cluster.secret[secretProxyKey],
		Kubelet:             kubeletSettings(object.Spec.KubeletConfig),
		PauseImage:          artifacts.Images["pause"],
		ImageArchives:       artifacts.ImageArchives,
	}, nil
}

// machinePods are where a machine's pods have their addresses from.
type machinePods struct {
	// routed is the machine's own range; not valid where addresses are there.
	routed netip.Prefix
	// addresses are the machine's out of subnet.
	addresses []netip.Addr
	subnet    netip.Prefix
}

func podsOf(object *containerservice.Machine) (machinePods, error) {
	var pods machinePods
	var errs [2]error
	pods.routed, errs[0] = optionalRange(object.Spec.PodCIDR)
	pods.subnet, errs[1] = optionalRange(object.Spec.PodSubnetCIDR)
	for _, text := range object.Spec.PodAddresses {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return pods, err
		}
		pods.addresses = append(pods.addresses, address)
	}
	return pods, errors.Join(errs[:]...)
}

// optionalRange reads a range; one that is not there is not valid, and no error.
func optionalRange(text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, nil
	}
	return netip.ParsePrefix(text)
}

// imageLabel names the image that a node is of, as AKS has it. The add-ons go by it.
const imageLabel = "kubernetes.azure.com/node-image-version"

// nodeLabels are the labels of a machine's node with that of its image: the one
// that it was made from, whatever lies in the cache by now.
func nodeLabels(object *containerservice.Machine, artifacts release.Artifacts) map[string]string {
	labels := maps.Clone(object.Spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[imageLabel] = cmp.Or(object.Status.NodeImage, artifacts.NodeImageName)
	return labels
}

// machineBinaries leaves out the programs that only control planes run.
func machineBinaries(all map[string]string) map[string]string {
	inside := map[string]string{}
	for name, path := range all {
		if !slices.Contains([]string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "proxy-server", "coredns", "metrics-server"}, name) {
			inside[name] = path
		}
	}
	return inside
}
