package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"berth.dev/berth/bench/probe"
)

// The versions of an upgrade by a minor; both have to be built.
const (
	oldVersion = "1.35.4"
	newVersion = "1.36.3"
)

// poolNodes are the nodes of each pool that is upgraded.
const poolNodes = 3

// upgradeSamples are the figures of the part upgrade.
type upgradeSamples struct {
	swap, lift, pool, pair samples
}

// measureUpgrade upgrades a control plane, one pool of three nodes, and then two
// such pools at the same time. Their nodes run nothing that has to be drained.
func measureUpgrade(ctx context.Context, scratch string, runs int) ([]samples, error) {
	raw := raw{dir: filepath.Join(scratch, "raw")}
	var err error
	if raw.artifacts, err = artifacts(); err != nil {
		return nil, err
	}
	s := upgradeSamples{
		swap: samples{name: "control-plane upgrade: API unavailable at the swap", unit: "ms", limit: 1.5},
		lift: samples{name: "control-plane upgrade: API unavailable at the lift", unit: "ms", limit: 1.5},
		pool: samples{name: "upgrade of a pool of three nodes with surge 1, for each node", limit: 15},
		pair: samples{name: "upgrade of two such pools side by side, against one", limit: 1.3},
	}
	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		controlPlane, err := raw.controlPlane(ctx)
		if err != nil {
			return nil, fmt.Errorf("starting a raw control plane: %w", err)
		}
		for _, of := range []*samples{&s.swap, &s.lift} {
			of.baseline = append(of.baseline, controlPlane.seconds*1000)
		}
		create := []string{"-c", "1", "-s", "Standard_B2s", "-k", oldVersion}
		if err := onInstall(ctx, scratch, create, func(t teller) error { return t.upgrade(ctx, &s) }); err != nil {
			return nil, err
		}
	}
	return []samples{s.swap, s.lift, s.pool, s.pair}, nil
}

// upgrade tells the story once.
func (t teller) upgrade(ctx context.Context, s *upgradeSamples) error {
	client, err := t.ready(ctx)
	if err != nil {
		return err
	}
	// All pools are made while the control plane is of their version: later it gives new ones its own.
	if err := t.addPools(ctx, "one", "left", "right"); err != nil {
		return err
	}
	swap, err := t.unavailable(ctx, "aks", "upgrade", "-g", "bench", "-n", "bench", "-k", newVersion, "--control-plane-only", "--yes")
	if err != nil {
		return err
	}
	lift, err := t.unavailable(ctx, "aks", "lift", "-g", "bench", "-n", "bench", "--yes")
	if err != nil {
		return err
	}
	s.swap.values, s.lift.values = append(s.swap.values, swap), append(s.lift.values, lift)
	one, err := t.upgradePools(ctx, client, "one")
	if err != nil {
		return err
	}
	two, err := t.upgradePools(ctx, client, "left", "right")
	if err != nil {
		return err
	}
	s.pool.values = append(s.pool.values, one/poolNodes)
	s.pair.values, s.pair.baseline = append(s.pair.values, two), append(s.pair.baseline, one)
	return nil
}

// unavailable runs a command and says for how many milliseconds at a time the
// API server did not answer meanwhile, at most.
func (t teller) unavailable(ctx context.Context, command ...string) (float64, error) {
	prober, err := probe.Start(ctx, t.kubeconfig)
	if err != nil {
		return 0, err
	}
	_, err = t.berth(ctx, command...)
	longest, probes := prober.Stop()
	if err != nil {
		return 0, err
	}
	if probes == 0 {
		return 0, fmt.Errorf("nobody asked the API server during %v", command)
	}
	return float64(longest) / float64(time.Millisecond), nil
}

// addPools makes pools of the old version.
func (t teller) addPools(ctx context.Context, names ...string) error {
	for _, name := range names {
		if _, err := t.berth(ctx, "aks", "nodepool", "add", "-g", "bench", "--cluster-name", "bench", "-n", name,
			"-c", fmt.Sprint(poolNodes), "-s", "Standard_DS1_v2", "-k", oldVersion); err != nil {
			return err
		}
	}
	return nil
}

// upgradePools says how many seconds pools take to be of the new version, all at once.
func (t teller) upgradePools(ctx context.Context, client *kubernetes.Clientset, names ...string) (float64, error) {
	pools, err := t.pools()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	for _, name := range names {
		group.Go(func() error { return upgradePool(groupCtx, pools, name) })
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	seconds := time.Since(begun).Seconds()
	for _, name := range names {
		if err := ofVersion(ctx, client, name); err != nil {
			return 0, err
		}
	}
	return seconds, nil
}

// upgradePool asks for the new version with surge 1, and waits.
func upgradePool(ctx context.Context, pools *armcontainerservice.AgentPoolsClient, name string) error {
	pool, err := pools.Get(ctx, "bench", "bench", name, nil)
	if err != nil {
		return err
	}
	properties := pool.Properties
	properties.OrchestratorVersion = to.Ptr(newVersion)
	properties.UpgradeSettings = &armcontainerservice.AgentPoolUpgradeSettings{MaxSurge: to.Ptr("1")}
	poller, err := pools.BeginCreateOrUpdate(ctx, "bench", "bench", name, armcontainerservice.AgentPool{Properties: properties}, nil)
	if err != nil {
		return err
	}
	_, err = poller.PollUntilDone(ctx, pollOften())
	return err
}

// ofVersion holds the nodes of a pool to what they say themselves.
func ofVersion(ctx context.Context, client *kubernetes.Clientset, pool string) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.azure.com/agentpool=" + pool})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		if got := node.Status.NodeInfo.KubeletVersion; got != "v"+newVersion {
			return fmt.Errorf("node %s runs %s after the upgrade", node.Name, got)
		}
	}
	if len(nodes.Items) != poolNodes || readyNodes(nodes.Items) != poolNodes {
		return fmt.Errorf("pool %s has %d nodes, %d of them ready, after the upgrade", pool, len(nodes.Items), readyNodes(nodes.Items))
	}
	return nil
}
