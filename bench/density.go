package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"k8s.io/client-go/tools/clientcmd"

	"berth.dev/berth/bench/tenant"
)

// settle is for how long nobody asks anything before memory and processor time
// are read, and quiet for how long the latter is.
const (
	settle = 90 * time.Second
	quiet  = 30 * time.Second
)

// The load on a tenant: as in docs/benchmarks.md.
const (
	objects      = 500
	listsPerS    = 20
	putsPerS     = 50
	roundLength  = 5 * time.Second
	roundsOfBoth = 6
)

// measureDensity measures what an idle cluster without nodes costs, and whether
// what makes it cheap makes it slow.
func measureDensity(ctx context.Context, scratch string, runs int) ([]samples, error) {
	plane := samples{name: "memory of an idle control plane", unit: "MB", limit: 200}
	planeCPU := samples{name: "CPU of an idle control plane", unit: "% of a core", limit: 3}
	service := samples{name: "memory of the management plane, one cluster", unit: "MB", limit: 350}
	serviceCPU := samples{name: "CPU of the idle management plane", unit: "% of a core", limit: 5}
	list := samples{name: "99th percentile of a tenant's LIST of 500 objects", unit: "ms", limit: 1.2}
	put := samples{name: "99th percentile of a tenant's PUT", unit: "ms", limit: 1.2}
	built, err := artifacts()
	if err != nil {
		return nil, err
	}
	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		err := onEmptyInstall(ctx, scratch, func(t teller) error {
			if err := t.createWithoutPools(ctx, "bench"); err != nil {
				return err
			}
			used, err := t.idle(ctx)
			if err != nil {
				return err
			}
			plane.values, planeCPU.values = append(plane.values, used.plane.megabytes), append(planeCPU.values, used.plane.percent)
			service.values, serviceCPU.values = append(service.values, used.service.megabytes), append(serviceCPU.values, used.service.percent)
			ours, err := t.tenant(ctx, "bench")
			if err != nil {
				return err
			}
			raw := raw{dir: filepath.Join(scratch, "raw"), artifacts: built}
			return raw.kept(ctx, func(theirs *tenant.Server) error {
				lists, puts, err := alternate(ctx, theirs, ours)
				list.baseline, list.values = append(list.baseline, lists[0]), append(list.values, lists[1])
				put.baseline, put.values = append(put.baseline, puts[0]), append(put.values, puts[1])
				return err
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return []samples{plane, planeCPU, service, serviceCPU, list, put}, nil
}

// alternate puts the same load on the raw control plane and on Berth's in turn,
// and returns the 99th percentiles over all rounds in ms, raw first.
func alternate(ctx context.Context, servers ...*tenant.Server) (lists, puts [2]float64, err error) {
	var listed, put [2][]time.Duration
	for _, server := range servers {
		if err := server.Populate(ctx, objects); err != nil {
			return lists, puts, err
		}
	}
	for range roundsOfBoth {
		for i, server := range servers {
			took, err := tenant.AtRate(ctx, listsPerS, roundLength, server.List)
			if err != nil {
				return lists, puts, fmt.Errorf("listing: %w", err)
			}
			listed[i] = append(listed[i], took...)
			if took, err = tenant.AtRate(ctx, putsPerS, roundLength, server.Put); err != nil {
				return lists, puts, fmt.Errorf("writing: %w", err)
			}
			put[i] = append(put[i], took...)
		}
	}
	for i := range servers {
		lists[i], puts[i] = milliseconds(tenant.P99(listed[i])), milliseconds(tenant.P99(put[i]))
	}
	return lists, puts, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// kept runs the raw control plane as long as use does.
func (r raw) kept(ctx context.Context, use func(*tenant.Server) error) error {
	if err := os.RemoveAll(r.dir); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "bash", filepath.Join("bench", "raw", "control-plane.sh"))
	command.Env = append(os.Environ(), "KEEP=1",
		"ETCD="+r.artifacts.Binaries["etcd"], "KUBE="+filepath.Dir(r.artifacts.Binaries["kube-apiserver"]), "DIR="+r.dir)
	command.Stderr = os.Stderr
	end, err := command.StdinPipe()
	if err != nil {
		return err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting a raw control plane: %w", err)
	}
	defer func() {
		end.Close()
		_ = command.Wait() // it kills what it started, and says so
	}()
	printed, err := io.ReadAll(output)
	if err != nil {
		return err
	}
	var started struct {
		Server string `json:"server"`
	}
	if err := json.Unmarshal(printed, &started); err != nil {
		return fmt.Errorf("control-plane.sh printed %q: %w", printed, err)
	}
	var files [3][]byte
	for i, name := range []string{"ca.crt", "admin.crt", "admin.key"} {
		if files[i], err = os.ReadFile(filepath.Join(r.dir, name)); err != nil {
			return err
		}
	}
	server, err := tenant.New(started.Server, files[0], files[1], files[2])
	if err != nil {
		return err
	}
	return use(server)
}

// tenant is the API server of a cluster.
func (t teller) tenant(ctx context.Context, name string) (*tenant.Server, error) {
	clusters, err := t.clusters()
	if err != nil {
		return nil, err
	}
	credentials, err := clusters.ListClusterAdminCredentials(ctx, "bench", name, nil)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(credentials.Kubeconfigs[0].Value)
	if err != nil {
		return nil, err
	}
	return tenant.New(config.Host, config.CAData, config.CertData, config.KeyData)
}

// clusterPoller follows the creation of a cluster.
type clusterPoller = runtime.Poller[armcontainerservice.ManagedClustersClientCreateOrUpdateResponse]

// beginWithoutPools asks for a cluster without agent pools.
func (t teller) beginWithoutPools(ctx context.Context, name string) (*clusterPoller, error) {
	clusters, err := t.clusters()
	if err != nil {
		return nil, err
	}
	return clusters.BeginCreateOrUpdate(ctx, "bench", name, armcontainerservice.ManagedCluster{
		Location:   to.Ptr("local"),
		Identity:   &armcontainerservice.ManagedClusterIdentity{Type: to.Ptr(armcontainerservice.ResourceIdentityTypeSystemAssigned)},
		Properties: &armcontainerservice.ManagedClusterProperties{DNSPrefix: to.Ptr(name)},
	}, nil)
}

// createWithoutPools makes a cluster without agent pools.
func (t teller) createWithoutPools(ctx context.Context, name string) error {
	poller, err := t.beginWithoutPools(ctx, name)
	if err != nil {
		return err
	}
	_, err = poller.PollUntilDone(ctx, pollOften())
	return err
}
