package tenant

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// LogReader reads at most limit bytes of what a container of a pod printed,
// from the beginning. The API server asks the node for them, through
// konnectivity; a node that cannot be reached is an error.
type LogReader func(ctx context.Context, namespace, pod, container string, limit int64) ([]byte, error)

// newLogReader makes the reader of a tenant's logs over the connections of transport.
func newLogReader(config *rest.Config, transport *http.Client) (LogReader, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("making the scheme of logs: %w", err)
	}
	pods := rest.CopyConfig(config)
	version := corev1.SchemeGroupVersion
	pods.APIPath, pods.GroupVersion = "/api", &version
	pods.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c, err := rest.RESTClientForConfigAndClient(pods, transport)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, namespace, pod, container string, limit int64) ([]byte, error) {
		options := &corev1.PodLogOptions{Container: container, LimitBytes: &limit}
		codec := runtime.NewParameterCodec(scheme)
		printed, err := c.Get().Namespace(namespace).Resource("pods").Name(pod).SubResource("log").VersionedParams(options, codec).DoRaw(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the log of pod %s/%s: %w", namespace, pod, err)
		}
		return printed, nil
	}, nil
}
