package agentpool

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/nodeprofile"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// grow makes the machines that are missing: all their ports in one write, then
// for each its id range, its Secret and the Machine. It goes on with slots that
// a kill left half made.
type grow struct {
	client    client.Client
	reader    client.Reader
	allocator allocation.Allocator
}

func (p *grow) Reconcile(ctx context.Context, s *scope) error {
	if s.count() == 0 || s.givesUp() || s.network == nil || s.network.DeletionTimestamp != nil {
		return nil
	}
	if err := p.choose(ctx, s); err != nil {
		return err
	}
	var errs []error
	for _, slot := range s.wanted() {
		if slot.machine == nil {
			errs = append(errs, p.make(ctx, s, slot))
		}
	}
	return errors.Join(errs...)
}

// choose names the machines that are missing and stores the names in their ports.
func (p *grow) choose(ctx context.Context, s *scope) error {
	var owners []allocation.Owner
	for missing := s.plan().create; missing > 0; missing-- {
		index, incarnation := s.freeIndex(), naming.Incarnation()
		chosen := &slot{index: index, nodeName: s.nodeName(index)}
		chosen.owner = allocation.Owner{Name: chosen.nodeName + "-" + incarnation, Incarnation: incarnation}
		s.slots = append(s.slots, chosen)
		owners = append(owners, chosen.owner)
	}
	if len(owners) == 0 {
		return nil
	}
	network, err := p.allocator.EnsurePorts(ctx, s.network.Name, s.place(), owners)
	if err != nil {
		for _, chosen := range s.wanted() {
			if chosen.machine == nil && chosen.port == nil {
				s.forget(chosen) // nothing of it was stored
			}
		}
		return err
	}
	s.network = network
	s.readPorts()
	return nil
}

// make stores what a machine needs and then the Machine.
func (p *grow) make(ctx context.Context, s *scope, slot *slot) error {
	idRange, err := p.allocator.IDRange(ctx, slot.owner)
	if err != nil {
		return fmt.Errorf("making machine %s: %w", slot.owner.Name, err)
	}
	secret, tokenID, err := p.ensureSecret(ctx, s, slot)
	if err != nil {
		return fmt.Errorf("making the secret of machine %s: %w", slot.owner.Name, err)
	}
	files, err := clusterFiles(ctx, p.reader, s)
	if err != nil {
		return err
	}
	machine := &v1alpha1.Machine{
		ObjectMeta: metav1.ObjectMeta{
			Name:       slot.owner.Name,
			Finalizers: []string{v1alpha1.MachineFinalizer, v1alpha1.MachineNodeFinalizer},
		},
		Spec: machineSpec(s, slot),
	}
	machine.Spec.IDRangeStart, machine.Spec.BootstrapTokenID = idRange, tokenID
	if s.pool.Spec.CredentialsDigest == pki.NodeDigest(files) { // otherwise they are about to change, and are named then
		machine.Spec.Credentials = machineCredentials(files, secret.Data, s.now)
	}
	err = p.client.Create(ctx, machine)
	if apierrors.IsAlreadyExists(err) {
		err = p.reader.Get(ctx, client.ObjectKeyFromObject(machine), machine)
	}
	if err != nil {
		return fmt.Errorf("making machine %s: %w", slot.owner.Name, err)
	}
	slot.machine = machine
	return nil
}

// machineSpec is all of a machine but what was allocated to it one by one.
func machineSpec(s *scope, slot *slot) v1alpha1.MachineSpec {
	cluster, profile, zone := s.cluster.Spec, s.pool.Spec.Profile, s.zone()
	wanted := nodeprofile.Of(s.cluster, profile, zone)
	set := slot.nodeName[:len(slot.nodeName)-indexDigits]
	spec := v1alpha1.MachineSpec{
		ClusterName: s.cluster.Name, AgentPoolName: s.pool.Name, HostName: naming.LocalHost,
		Incarnation: slot.owner.Incarnation, Index: slot.index, NodeName: slot.nodeName,
		ProviderID: fmt.Sprintf(
			"azure:///subscriptions/%s/resourceGroups/%s/providers/Microsoft.Compute/virtualMachineScaleSets/%s/virtualMachines/%d",
			cluster.SubscriptionID, cluster.NodeResourceGroup, set, slot.index),
		VMSize: profile.VMSize, OSDiskSizeGB: profile.OSDiskSizeGB, MaxPods: profile.MaxPods,
		KubernetesVersion: profile.OrchestratorVersion,
		Address:           slot.port.Address, PodCIDR: slot.port.PodCIDR, PodAddresses: slot.port.PodAddresses,
		Labels: wanted.Labels, Taints: wanted.Taints, PowerState: profile.PowerState,
		NodeImageVersion: profile.NodeImageVersion, Zone: zone, KubeletConfig: profile.KubeletConfig, Sysctls: profile.Sysctls,
	}
	if len(slot.port.PodAddresses) > 0 {
		spec.PodSubnetCIDR = s.podSubnet(slot.port)
	}
	return spec
}
