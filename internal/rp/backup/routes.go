// Package backup is the resource provider Berth.ContainerService: what AKS
// lacks lies there, beside Microsoft.ContainerService, with the same ids,
// authorization and protocol. Here that is backups of clusters. It turns
// requests into Backup and BackupSchedule objects, and lets files in and out; taking, checking and
// restoring are the host agent's.
package backup

import (
	"context"
	"io"
	"net/http"
	"os"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
)

// Namespace is the name of the resource provider.
const Namespace = "Berth.ContainerService"

// Version is the only api-version of the provider.
const Version = "2026-11-01"

// Clusters is what the provider needs of Microsoft.ContainerService.
type Clusters interface {
	// Cluster reads a cluster, nil if there is none.
	Cluster(ctx context.Context, id arm.ResourceID) (*containerservicev1alpha1.ManagedCluster, error)
	// Restore starts an operation on a cluster and answers the request.
	Restore(w http.ResponseWriter, r *arm.Request, id arm.ResourceID, restore containerservicev1alpha1.Restore, kubernetesVersion string) error
	// Loss says what a cluster loses that goes back to a time and a revision.
	Loss(ctx context.Context, cluster *containerservicev1alpha1.ManagedCluster, since time.Time, revision int64) string
	// RestoreNew makes a cluster as spec says and answers the request.
	RestoreNew(w http.ResponseWriter, r *arm.Request, id arm.ResourceID, spec containerservicev1alpha1.ManagedClusterSpec, restore containerservicev1alpha1.Restore) error
}

// Files is where the files of backups lie.
type Files interface {
	// Open opens a whole backup; fs.ErrNotExist without one.
	Open(id string) (*os.File, error)
	// Receive writes a backup that comes from somewhere else, whole or not at all,
	// and not before check has read it.
	Receive(id string, from io.Reader, check func(io.Reader) error) error
}

// Provider answers the routes of Berth.ContainerService.
type Provider struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// Tokens decides what a caller may do with the cluster of a backup.
	Tokens *identity.Service
	// Clusters and Files are the rest of the service.
	Clusters Clusters
	Files    Files
	// Location is the only region, TenantID the only tenant.
	Location, TenantID string
	// Now is the clock.
	Now func() time.Time
}

// The patterns of the provider's paths.
const (
	inSubscription = "/subscriptions/{subscriptionID}/providers/" + Namespace
	inGroup        = "/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/" + Namespace
	aBackup        = inGroup + "/backups/{backupName}"
)

// on is the stem of the provider's actions.
const on = Namespace + "/backups/"

// The actions that a caller needs on the cluster of a backup, too.
const (
	actionBackUp  = "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action"
	actionRestore = "Microsoft.ContainerService/managedClusters/write"
)

// Routes are what the provider answers.
func (p *Provider) Routes() []arm.Route {
	get, put, post, del := http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete
	routes := []arm.Route{
		{Method: get, Pattern: inSubscription + "/backups", Action: on + "read", Handle: p.list},
		{Method: get, Pattern: inGroup + "/backups", Action: on + "read", Handle: p.list},
		{Method: get, Pattern: aBackup, Action: on + "read", Handle: p.get},
		{Method: put, Pattern: aBackup, Action: on + "write", Handle: p.put},
		{Method: del, Pattern: aBackup, Action: on + "delete", Handle: p.delete},
		{Method: post, Pattern: aBackup + "/download", Action: on + "download/action", Handle: p.download},
		{Method: post, Pattern: aBackup + "/upload", Action: on + "upload/action", Handle: p.upload},
		{Method: post, Pattern: aBackup + "/restore", Action: on + "restore/action", Handle: p.restore},
	}
	versions := &arm.VersionTable{ResourceType: "backups", Location: p.Location, Versions: []string{Version}}
	for i := range routes {
		routes[i].Versions = versions
	}
	return append(routes, p.scheduleRoutes()...)
}

// ResourceTypes are the provider's resource types with their api-versions.
func (p *Provider) ResourceTypes() map[string][]string {
	return map[string][]string{"backups": {Version}, scheduleType: {Version}}
}
