package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	azurecloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"berth.dev/berth/internal/cloud"
)

// story is one life of an install with one cluster, in seconds.
type story struct {
	start, ready, node, page, gone float64
	// The CPU time of the management API at the start, and of the control plane
	// when it was ready.
	startCPU, readyCPU float64
}

// patience bounds every wait.
const patience = 2 * time.Minute

// teller tells a story through the CLI, as a user would.
type teller struct {
	home, kubeconfig string
}

// tell starts a fresh install, makes a cluster, opens its page, adds a node,
// deletes the cluster and removes the install.
func tell(ctx context.Context, home string) (s story, err error) {
	t := teller{home: home, kubeconfig: home + ".kubeconfig"}
	defer func() {
		_, downErr := t.berth(context.WithoutCancel(ctx), "down", "--purge")
		err = errors.Join(err, downErr)
	}()
	if s.start, err = t.timed(ctx, "up", "--detach"); err != nil {
		return s, err
	}
	if s.startCPU, err = t.cpu("management"); err != nil {
		return s, err
	}
	if _, err = t.berth(ctx, "group", "create", "-n", "bench"); err != nil {
		return s, err
	}
	begun := time.Now()
	if _, err = t.berth(ctx, "aks", "create", "-g", "bench", "-n", "bench", "-c", "1", "-s", "Standard_B2s", "--no-wait"); err != nil {
		return s, err
	}
	client, err := t.ready(ctx)
	if err != nil {
		return s, err
	}
	s.ready = time.Since(begun).Seconds()
	if s.readyCPU, err = t.cpu("cp-*"); err != nil {
		return s, err
	}
	if err = t.openPage(ctx, client); err != nil {
		return s, err
	}
	s.page = time.Since(begun).Seconds()
	if _, err = t.berth(ctx, "aks", "wait", "-g", "bench", "-n", "bench", "--created"); err != nil {
		return s, err
	}
	if s.node, err = t.addNode(ctx, client); err != nil {
		return s, err
	}
	s.gone, err = t.timed(ctx, "aks", "delete", "-g", "bench", "-n", "bench", "--yes")
	return s, err
}

// cpu is the CPU time in seconds that the install's control groups of a
// pattern have used so far, on a host with either version of them.
func (t teller) cpu(pattern string) (float64, error) {
	instance, err := t.instance()
	if err != nil {
		return 0, err
	}
	group := filepath.Join("berth-"+instance, pattern)
	for file, unit := range map[string]float64{
		filepath.Join("/sys/fs/cgroup/cpuacct", group, "cpuacct.usage"): 1e9, // nanoseconds
		filepath.Join("/sys/fs/cgroup", group, "cpu.stat"):              1e6, // usage_usec, the first line
	} {
		found, err := filepath.Glob(file)
		if err != nil || len(found) == 0 {
			continue
		}
		content, err := os.ReadFile(found[0])
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(strings.TrimPrefix(string(content), "usage_usec"))
		used, err := strconv.ParseFloat(fields[0], 64)
		return used / unit, err
	}
	return 0, fmt.Errorf("no control group %s", group)
}

// instance is the name of the install on this host.
func (t teller) instance() (string, error) {
	status, err := t.berth(context.Background(), "status", "-o", "json")
	if err != nil {
		return "", err
	}
	var install struct {
		Instance string `json:"instance"`
	}
	err = json.Unmarshal([]byte(status), &install)
	return install.Instance, err
}

// ready waits until the cluster's API server says so, asking as its
// administrator. Credentials are to be had before that. It speaks ARM itself:
// starting a command for each question would cost the CPU time that is measured.
func (t teller) ready(ctx context.Context) (*kubernetes.Clientset, error) {
	clusters, err := t.clusters()
	if err != nil {
		return nil, err
	}
	var client *kubernetes.Clientset
	err = until(ctx, func() error {
		if client == nil {
			credentials, err := clusters.ListClusterAdminCredentials(ctx, "bench", "bench", nil)
			if err != nil {
				return err
			}
			kubeconfig := credentials.Kubeconfigs[0].Value
			if err := os.WriteFile(t.kubeconfig, kubeconfig, 0o600); err != nil {
				return err
			}
			config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
			if err != nil {
				return err
			}
			config.Timeout = time.Second
			if client, err = kubernetes.NewForConfig(config); err != nil {
				return err
			}
		}
		return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	return client, err
}

// clusters is a client of the install's managed clusters.
func (t teller) clusters() (*armcontainerservice.ManagedClustersClient, error) {
	factory, err := t.factory()
	if err != nil {
		return nil, err
	}
	return factory.NewManagedClustersClient(), nil
}

// pools is a client of the install's agent pools.
func (t teller) pools() (*armcontainerservice.AgentPoolsClient, error) {
	factory, err := t.factory()
	if err != nil {
		return nil, err
	}
	return factory.NewAgentPoolsClient(), nil
}

// pollOften looks at an operation as often as the command line does.
func pollOften() *runtime.PollUntilDoneOptions {
	return &runtime.PollUntilDoneOptions{Frequency: time.Second}
}

// factory makes clients of the install.
func (t teller) factory() (*armcontainerservice.ClientFactory, error) {
	who, err := cloud.Load(filepath.Join(t.home, "identity", "cloud.json"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(who.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	options := azcore.ClientOptions{
		Cloud: azurecloud.Configuration{
			ActiveDirectoryAuthorityHost: who.ActiveDirectoryEndpoint,
			Services: map[azurecloud.ServiceName]azurecloud.ServiceConfiguration{
				azurecloud.ResourceManager: {Endpoint: who.ARMEndpoint, Audience: who.ARMEndpoint},
			},
		},
		Transport: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}},
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
	credential, err := azidentity.NewClientSecretCredential(who.TenantID, who.ClientID, who.ClientSecret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	if err != nil {
		return nil, err
	}
	return armcontainerservice.NewClientFactory(who.SubscriptionID, credential, &arm.ClientOptions{ClientOptions: options})
}

// openPage deploys the sample application and gets its page.
func (t teller) openPage(ctx context.Context, client *kubernetes.Clientset) error {
	kubectl, err := t.berth(ctx, "release", "path", "kubectl")
	if err != nil {
		return err
	}
	apply := exec.CommandContext(ctx, strings.TrimSpace(kubectl), "--kubeconfig", t.kubeconfig, "apply", "-f", "examples/hello/web.yaml")
	if printed, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("deploying the sample application: %w: %s", err, printed)
	}
	browser := http.Client{Timeout: time.Second}
	return until(ctx, func() error {
		service, err := client.CoreV1().Services("default").Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(service.Status.LoadBalancer.Ingress) == 0 {
			return errors.New("the service has no public address")
		}
		response, err := browser.Get("http://" + service.Status.LoadBalancer.Ingress[0].IP + "/")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("the page answers %s", response.Status)
		}
		return nil
	})
}

// addNode scales the pool out by one and says how long the new node takes from
// the moment its machine is made to its Ready condition.
func (t teller) addNode(ctx context.Context, client *kubernetes.Clientset) (float64, error) {
	if _, err := t.berth(ctx, "aks", "scale", "-g", "bench", "-n", "bench", "-c", "2", "--no-wait"); err != nil {
		return 0, err
	}
	var made time.Time
	err := until(ctx, func() error {
		if made.IsZero() {
			machines, err := filepath.Glob(filepath.Join(t.home, "machines", "*"))
			if err != nil {
				return err
			}
			if len(machines) < 2 {
				return errors.New("the second machine is not made")
			}
			made = time.Now()
		}
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if ready := readyNodes(nodes.Items); ready < 2 {
			return fmt.Errorf("%d nodes are ready", ready)
		}
		return nil
	})
	seconds := time.Since(made).Seconds()
	if err != nil {
		return 0, err
	}
	_, err = t.berth(ctx, "aks", "wait", "-g", "bench", "-n", "bench", "--updated")
	return seconds, err
}

func readyNodes(nodes []corev1.Node) (ready int) {
	for _, node := range nodes {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	return ready
}

// until asks again every 20 ms until there is no error.
func until(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %v: %w", patience, err)
		case <-tick.C:
		}
	}
}

// timed runs a berth command and says how long it took.
func (t teller) timed(ctx context.Context, arguments ...string) (float64, error) {
	begun := time.Now()
	_, err := t.berth(ctx, arguments...)
	return time.Since(begun).Seconds(), err
}

// berth runs a berth command and returns its standard output.
func (t teller) berth(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "bin/berth", arguments...)
	command.Env = append(os.Environ(), "BERTH_HOME="+t.home)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	printed, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("berth %s: %w: %s", strings.Join(arguments, " "), err, stderr.String())
	}
	return string(printed), nil
}
