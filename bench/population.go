package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/management"
	"berth.dev/berth/internal/naming"
)

// The population of the service that is measured: clusters with a pool each, in groups.
const (
	clusterCount = 1000
	groupCount   = 20
	pageSize     = 50
	version      = "?api-version=2025-02-01"
)

// cluster is the path of the cluster of a number.
func clusterPath(subscriptionID string, n int) string {
	return fmt.Sprintf("/subscriptions/%s/resourceGroups/bench-%d/providers/Microsoft.ContainerService/managedClusters/cluster-%d", subscriptionID, n%groupCount, n)
}

// customer speaks ARM.
type customer struct {
	who    cloud.Cloud
	client *http.Client
	token  string
}

// newCustomer logs in as the owner of the install's subscription.
func newCustomer(ctx context.Context, h home.Home) (*customer, error) {
	who, err := cloud.Load(h.CloudFile())
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(who.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	c := &customer{who: who, client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 16,
	}}}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	err = c.call(ctx, http.MethodPost, c.tokenPath(), c.tokenForm(), &token)
	c.token = "Bearer " + token.AccessToken
	return c, err
}

func (c *customer) tokenPath() string { return "/" + c.who.TenantID + "/oauth2/v2.0/token" }

// tokenForm asks for a token by the client's secret.
func (c *customer) tokenForm() string {
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {c.who.ClientID}, "client_secret": {c.who.ClientSecret},
		"scope": {c.who.ARMEndpoint + "/.default"},
	}.Encode()
}

const formType = "application/x-www-form-urlencoded"

// call makes a request and reads the answer into into, if that is not nil.
func (c *customer) call(ctx context.Context, method, path, body string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.who.ARMEndpoint+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.token == "" {
		request.Header.Set("Content-Type", formType)
	}
	request.Header.Set("Authorization", c.token)
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusBadRequest {
		return errors.Join(err, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, content))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(content, into)
}

// populate makes the clusters as a customer does, then ends their creation as
// the controllers do, which have no host here.
func (c *customer) populate(ctx context.Context, h home.Home) error {
	for i := range groupCount {
		path := fmt.Sprintf("/subscriptions/%s/resourceGroups/bench-%d?api-version=2021-04-01", c.who.SubscriptionID, i)
		if err := c.call(ctx, http.MethodPut, path, `{"location":"`+c.who.Location+`"}`, nil); err != nil {
			return err
		}
	}
	api, err := managementClient(h)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for n := range clusterCount {
		group.Go(func() error {
			body := fmt.Sprintf(`{"location":%q,"identity":{"type":"SystemAssigned"},"tags":{"n":"%d"},"properties":{"dnsPrefix":"c%d","agentPoolProfiles":[
				{"name":"nodepool1","count":2,"vmSize":"Standard_B2s","mode":"System"}]}}`, c.who.Location, n, n)
			path := clusterPath(c.who.SubscriptionID, n)
			if err := c.call(groupCtx, http.MethodPut, path+version, body, nil); err != nil {
				return err
			}
			return finish(groupCtx, api, naming.Object(path), n)
		})
	}
	return group.Wait()
}

// managementClient reaches the management API of a home.
func managementClient(h home.Home) (client.Client, error) {
	config, err := management.New(h, "", nil).Config()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := containerservice.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// finish gives a cluster what the controllers would have observed and made of it.
func finish(ctx context.Context, api client.Client, name string, n int) error {
	var cluster containerservice.ManagedCluster
	if err := api.Get(ctx, client.ObjectKey{Name: name}, &cluster); err != nil {
		return err
	}
	cluster.Spec.Operations = nil
	if err := api.Update(ctx, &cluster); err != nil {
		return err
	}
	ready := []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: metav1.Now()}}
	cluster.Status = containerservice.ManagedClusterStatus{
		ObservedGeneration: cluster.Generation, ProvisioningState: containerservice.StateSucceeded, PowerState: "Running",
		FQDN:    fmt.Sprintf("c%d-%s.hcp.local.berth.internal", n, cluster.Spec.Incarnation),
		Address: fmt.Sprintf("198.18.%d.%d", n/256, n%256), CurrentKubernetesVersion: cluster.ServedVersion(), Conditions: ready,
	}
	if err := api.Status().Update(ctx, &cluster); err != nil {
		return err
	}
	profile := cluster.Spec.AgentPools[0]
	pool := containerservice.AgentPool{
		ObjectMeta: metav1.ObjectMeta{Name: naming.AgentPool(profile.Name, profile.Incarnation)},
		Spec:       containerservice.AgentPoolSpec{ClusterName: cluster.Name, Profile: profile, ClusterGeneration: cluster.Generation},
	}
	if err := api.Create(ctx, &pool); err != nil {
		return err
	}
	pool.Status = containerservice.AgentPoolStatus{
		ObservedGeneration: pool.Generation, ObservedClusterGeneration: cluster.Generation, ProvisioningState: containerservice.StateSucceeded,
		Count: profile.Count, ReadyCount: profile.Count, CurrentOrchestratorVersion: cluster.ServedVersion(), Conditions: ready,
	}
	return api.Status().Update(ctx, &pool)
}

// pages follows a list to its end: the paths of all its pages. It fails unless
// every cluster and pool of the population is there and Succeeded.
func (c *customer) pages(ctx context.Context) ([]string, error) {
	var paths []string
	found := 0
	next := fmt.Sprintf("/subscriptions/%s/providers/Microsoft.ContainerService/managedClusters%s&$top=%d", c.who.SubscriptionID, version, pageSize)
	for next != "" {
		var page struct {
			Value []struct {
				Properties struct {
					ProvisioningState string `json:"provisioningState"`
					AgentPoolProfiles []struct {
						CurrentVersion    string `json:"currentOrchestratorVersion"`
						ProvisioningState string `json:"provisioningState"`
					} `json:"agentPoolProfiles"`
				} `json:"properties"`
			} `json:"value"`
			NextLink string `json:"nextLink"`
		}
		if err := c.call(ctx, http.MethodGet, next, "", &page); err != nil {
			return nil, err
		}
		for _, cluster := range page.Value {
			pools := cluster.Properties.AgentPoolProfiles
			if cluster.Properties.ProvisioningState != "Succeeded" || len(pools) != 1 || pools[0].ProvisioningState != "Succeeded" {
				return nil, fmt.Errorf("a cluster of %s has not succeeded", next)
			}
			found++
		}
		paths = append(paths, next)
		next = strings.TrimPrefix(page.NextLink, c.who.ARMEndpoint)
	}
	if found != clusterCount {
		return nil, fmt.Errorf("%d clusters are listed, want %d", found, clusterCount)
	}
	return paths, nil
}
