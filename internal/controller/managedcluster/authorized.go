package managedcluster

import (
	"context"
	"fmt"
	"slices"
)

// authorize tells the control plane who may reach it.
func (p *controlPlane) authorize(ctx context.Context, s *scope) error {
	wanted := authorized(s)
	if slices.Equal(wanted, s.controlPlane.Spec.AuthorizedIPRanges) {
		return nil
	}
	changed := s.controlPlane.DeepCopy()
	changed.Spec.AuthorizedIPRanges = wanted
	if err := p.config.Client.Update(ctx, changed); err != nil {
		return fmt.Errorf("telling the control plane who may reach it: %w", err)
	}
	s.controlPlane = changed
	return nil
}

// authorized are the cluster's ranges with its own outbound addresses, which its
// nodes and pods come with; nothing where all may come. A cluster whose
// addresses are not known yet has no nodes.
func authorized(s *scope) []string {
	if len(s.cluster.Spec.AuthorizedIPRanges) == 0 {
		return nil
	}
	all := slices.Clone(s.cluster.Spec.AuthorizedIPRanges)
	for _, address := range s.outbound {
		if own := address + "/32"; !slices.Contains(all, own) {
			all = append(all, own)
		}
	}
	return all
}
