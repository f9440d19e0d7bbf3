package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// balancedServices is how many services are made at once, balancedPods how many
// endpoints each has.
const (
	balancedServices = 200
	balancedPods     = 10
)

// measureBalancer measures how long services wait for their addresses, and a
// new endpoint for its first connection.
func measureBalancer(ctx context.Context, scratch string, runs int) ([]samples, error) {
	all := samples{name: fmt.Sprintf("%d services of type LoadBalancer with %d endpoints on two nodes have their addresses, from the first's creation", balancedServices, balancedPods), limit: 5}
	answered := samples{name: "all of them answer there, from the first's creation", limit: 5}
	rotation := samples{name: fmt.Sprintf("a new endpoint beside %d services is reached, from being ready", balancedServices), limit: 1}
	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		err := onInstall(ctx, scratch, []string{"-c", "2", "-s", "Standard_B2s"}, func(t teller) error {
			if _, err := t.ready(ctx); err != nil {
				return err
			}
			client, err := t.unthrottled()
			if err != nil {
				return err
			}
			if err := deployMany(ctx, client); err != nil {
				return err
			}
			before, err := t.daemonCPU()
			if err != nil {
				return err
			}
			begun := time.Now()
			addresses, err := exposeAll(ctx, client)
			if err != nil {
				return err
			}
			all.values = append(all.values, time.Since(begun).Seconds())
			after, err := t.daemonCPU()
			if err != nil {
				return err
			}
			all.cpu = append(all.cpu, after-before)
			if err := answerAll(ctx, addresses); err != nil {
				return err
			}
			answered.values = append(answered.values, time.Since(begun).Seconds())
			seconds, err := firstAnswer(ctx, client)
			if err != nil {
				return err
			}
			rotation.values = append(rotation.values, seconds)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return []samples{all, answered, rotation}, nil
}

// daemonCPU is the CPU time of the install's daemon so far, in seconds.
func (t teller) daemonCPU() (float64, error) {
	daemon, err := t.daemon()
	if err != nil {
		return 0, err
	}
	return (&service{daemon: daemon}).cpu()
}

// unthrottled is a client of the cluster that asks as often as it is told to.
func (t teller) unthrottled() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", t.kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}

// exposeAll makes the services and waits until all of them have an address. It
// watches them: to list two hundred services over and over keeps the very API
// server busy that is measured.
func exposeAll(ctx context.Context, client *kubernetes.Clientset) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	services, err := client.CoreV1().Services("default").Watch(ctx, metav1.ListOptions{LabelSelector: "bench=balancer"})
	if err != nil {
		return nil, fmt.Errorf("watching the services: %w", err)
	}
	defer services.Stop()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8 + 1)
	var addresses []string
	group.Go(func() (err error) {
		addresses, err = allAddresses(ctx, services)
		return err
	})
	for i := range balancedServices {
		group.Go(func() error {
			_, err := client.CoreV1().Services("default").Create(ctx, balanced(fmt.Sprintf("many-%d", i), "many", corev1.ServiceExternalTrafficPolicyCluster), metav1.CreateOptions{})
			return err
		})
	}
	return addresses, group.Wait()
}

// allAddresses hears of services until as many as were made have an address.
func allAddresses(ctx context.Context, services watch.Interface) ([]string, error) {
	found := map[string]string{}
	for len(found) < balancedServices {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d services have an address: %w", len(found), balancedServices, ctx.Err())
		case event, open := <-services.ResultChan():
			if !open {
				return nil, fmt.Errorf("the watch of the services ended when %d of %d had an address", len(found), balancedServices)
			}
			if s, ok := event.Object.(*corev1.Service); ok && len(s.Status.LoadBalancer.Ingress) > 0 {
				found[s.Name] = s.Status.LoadBalancer.Ingress[0].IP
			}
		}
	}
	return slices.Collect(maps.Values(found)), nil
}

// deployMany makes the pods that all those services select, and waits until they run.
func deployMany(ctx context.Context, client *kubernetes.Clientset) error {
	labels, replicas := map[string]string{"app": "many"}, int32(balancedPods)
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "many"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "berth.internal/samples/web:v1"}}},
			},
		},
	}
	if _, err := client.AppsV1().Deployments("default").Create(ctx, deployment, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making the pods: %w", err)
	}
	return until(ctx, func() error {
		now, err := client.AppsV1().Deployments("default").Get(ctx, "many", metav1.GetOptions{})
		if err != nil {
			return err
		}
		return not(now.Status.ReadyReplicas == replicas, "all pods are ready")
	})
}

// answerAll waits until each address has answered.
func answerAll(ctx context.Context, addresses []string) error {
	var group errgroup.Group
	group.SetLimit(8)
	for _, address := range addresses {
		group.Go(func() error {
			return until(ctx, func() error {
				page, err := fetch(address, time.Second)
				return errors.Join(err, not(strings.Contains(page, "many"), "the service answers"))
			})
		})
	}
	return group.Wait()
}

// fetch gets a page over a connection of its own.
func fetch(address string, within time.Duration) (string, error) {
	quick := http.Client{Timeout: within, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := quick.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// firstAnswer gives a service that only nodes with an endpoint serve its first
// endpoint, and says how long after that one was ready it is reached.
func firstAnswer(ctx context.Context, client *kubernetes.Clientset) (float64, error) {
	created, err := client.CoreV1().Services("default").Create(ctx, balanced("near", "near", corev1.ServiceExternalTrafficPolicyLocal), metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("making the service: %w", err)
	}
	address := ""
	if err := until(ctx, func() error {
		s, err := client.CoreV1().Services("default").Get(ctx, created.Name, metav1.GetOptions{})
		if err == nil && len(s.Status.LoadBalancer.Ingress) > 0 {
			address = s.Status.LoadBalancer.Ingress[0].IP
		}
		return errors.Join(err, not(address != "", "the service has an address"))
	}); err != nil {
		return 0, err
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "near", Labels: map[string]string{"app": "near"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "berth.internal/samples/web:v1"}}},
	}
	if _, err := client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return 0, fmt.Errorf("making the pod: %w", err)
	}
	if err := until(ctx, func() error {
		slices, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=near"})
		if err != nil || len(slices.Items) == 0 || len(slices.Items[0].Endpoints) == 0 {
			return errors.Join(err, not(false, "the service has an endpoint"))
		}
		ready := slices.Items[0].Endpoints[0].Conditions.Ready
		return not(ready != nil && *ready, "the endpoint is ready")
	}); err != nil {
		return 0, err
	}
	begun := time.Now()
	err = until(ctx, func() error {
		// What comes before is dropped, and sent again a second later: asked anew instead,
		// it is the endpoint that is measured.
		page, err := fetch(address, 100*time.Millisecond)
		return errors.Join(err, not(strings.Contains(page, "near"), "the endpoint answers"))
	})
	return time.Since(begun).Seconds(), err
}

// balanced is a service of type LoadBalancer.
func balanced(name, app string, policy corev1.ServiceExternalTrafficPolicy) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"bench": "balancer"}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: policy, Selector: map[string]string{"app": app},
			Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
	s.Spec.Ports[0].TargetPort.IntVal = 8080
	if policy == corev1.ServiceExternalTrafficPolicyLocal {
		s.Labels = nil
	}
	return s
}

// not is the error of what is waited for, unless it has come.
func not(come bool, what string) error {
	if come {
		return nil
	}
	return errors.New(what + " not yet")
}
