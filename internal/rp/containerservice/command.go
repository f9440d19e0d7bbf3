package containerservice

import (
	"net/http"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/containerservice/runcommand"
)

// commands answers the routes of commands that run in clusters.
func (p *Provider) commands() *runcommand.Handlers {
	return &runcommand.Handlers{
		Client: p.Client, Cluster: p.cluster, Ready: runsCommands, Now: p.Now,
		Disabled: func(cluster *containerservicev1alpha1.ManagedCluster) bool { return cluster.Spec.DisableRunCommand },
	}
}

// runsCommands is nil if a command can run in a cluster: it has an API server
// that answers, and was not stopped.
func runsCommands(cluster *containerservicev1alpha1.ManagedCluster) error {
	if cluster.Spec.PowerState == meta.PowerStopped {
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"The managed cluster '%s' is stopped. Start it before you run a command in it.", cluster.Spec.Name)
	}
	return reachable(cluster)
}
