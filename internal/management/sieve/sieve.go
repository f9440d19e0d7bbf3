// Package sieve reads the management API object by object: one that cannot be
// decoded, because something wrote another type into it than its definition
// has, costs nobody else's objects. Without it a list fails as a whole, and
// every controller of the kind stops for all clusters.
//
// A damaged object is never taken for one that is gone, since what belongs to
// it would be removed: a Get of it says what is wrong, a live List fails if the
// object might be the caller's business (see Mentioning), and what the cache had
// of it before it was damaged stays there. Whoever repairs the object needs to do
// nothing else.
package sieve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// DamagedError says that an object of the management API cannot be read.
type DamagedError struct {
	// Kind and Name are the object's; Name is empty if even that cannot be read.
	Kind, Name string
	// Reason is what the decoder says.
	Reason string
}

// Error names the object, and how it is repaired.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s %q is damaged in the management API: %s; it is left alone until it is repaired (see docs/operate/troubleshooting.md, \"A damaged object\")",
		e.Kind, e.Name, e.Reason)
}

// damaged is an object as the API server sent it.
type damaged struct {
	err      *DamagedError
	raw      []byte
	revision uint64
}

// Sieve reads kinds of the management API and remembers which objects are damaged.
type Sieve struct {
	config *rest.Config
	http   *http.Client
	scheme *runtime.Scheme
	mapper apimeta.RESTMapper
	codecs serializer.CodecFactory
	log    *slog.Logger
	count  *prometheus.GaugeVec

	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]map[client.ObjectKey]damaged
}

// New makes a sieve for an API server. The mapper has to know every kind that
// is read through the sieve.
func New(config *rest.Config, scheme *runtime.Scheme, mapper apimeta.RESTMapper, log *slog.Logger) (*Sieve, error) {
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading damaged objects: %w", err)
	}
	return &Sieve{
		config: config, http: httpClient, scheme: scheme, mapper: mapper, codecs: serializer.NewCodecFactory(scheme), log: log,
		count: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "berth_damaged_objects", Help: "Objects of the management API that cannot be decoded, by kind.",
		}, []string{"kind"}),
		kinds: map[schema.GroupVersionKind]map[client.ObjectKey]damaged{},
	}, nil
}

// Collector is the metric of damaged objects.
func (s *Sieve) Collector() prometheus.Collector { return s.count }

// undecodable says whether an error of a read comes from what was read, and
// neither from the way there nor from the API server.
func undecodable(err error) bool {
	var status apierrors.APIStatus
	var transport *url.Error
	return err != nil && !errors.As(err, &status) && !errors.As(err, &transport) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// rawList is a list whose items were not looked at.
type rawList struct {
	metav1.ListMeta `json:"metadata"`
	Items           []json.RawMessage `json:"items"`
}

// read lists a kind item by item, and returns what can be decoded and what cannot.
func (s *Sieve) read(ctx context.Context, gvk schema.GroupVersionKind, namespace string, options *metav1.ListOptions,
) (list rawList, whole []runtime.Object, broken map[client.ObjectKey]damaged, err error) {
	mapping, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return list, nil, nil, err
	}
	rests, err := apiutil.RESTClientForGVK(gvk, true, false, s.config, s.codecs, s.http)
	if err != nil {
		return list, nil, nil, err
	}
	content, err := rests.Get().NamespaceIfScoped(namespace, namespace != "").Resource(mapping.Resource.Resource).
		VersionedParams(options, metav1.ParameterCodec).Do(ctx).Raw()
	if err != nil {
		return list, nil, nil, err
	}
	if err := json.Unmarshal(content, &list); err != nil {
		return list, nil, nil, err
	}
	broken = map[client.ObjectKey]damaged{}
	for _, raw := range list.Items {
		object, err := s.decode(gvk, raw)
		if err == nil {
			whole = append(whole, object)
			continue
		}
		var about metav1.PartialObjectMetadata
		_ = json.Unmarshal(raw, &about) // an object without a name that can be read is told without one
		broken[client.ObjectKeyFromObject(&about)] = damaged{
			err: &DamagedError{Kind: gvk.Kind, Name: about.Name, Reason: err.Error()}, raw: raw, revision: revision(about.ResourceVersion),
		}
	}
	return list, whole, broken, nil
}

func (s *Sieve) decode(gvk schema.GroupVersionKind, raw []byte) (runtime.Object, error) {
	object, err := s.scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	_, _, err = s.codecs.UniversalDeserializer().Decode(raw, &gvk, object)
	return object, err
}

// remember keeps what is damaged of a kind, in place of what was.
func (s *Sieve) remember(gvk schema.GroupVersionKind, broken map[client.ObjectKey]damaged) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, d := range broken {
		if before, known := s.kinds[gvk][key]; !known || !bytes.Equal(before.raw, d.raw) {
			s.log.Error("an object cannot be read", "kind", gvk.Kind, "name", key.Name, "error", d.err)
		}
	}
	s.kinds[gvk] = broken
	s.count.WithLabelValues(gvk.Kind).Set(float64(len(broken)))
}

// seen forgets the damage of an object that was read, if what was read is newer.
// The cache also hands out again what it kept of a damaged one.
func (s *Sieve) seen(gvk schema.GroupVersionKind, object client.Object) {
	key := client.ObjectKeyFromObject(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, known := s.kinds[gvk][key]; known && revision(object.GetResourceVersion()) > d.revision {
		s.forget(gvk, key)
	}
}

// forget removes a key; the caller holds the lock.
func (s *Sieve) forget(gvk schema.GroupVersionKind, key client.ObjectKey) {
	s.log.Info("an object is damaged no more", "kind", gvk.Kind, "name", key.Name)
	delete(s.kinds[gvk], key)
	s.count.WithLabelValues(gvk.Kind).Set(float64(len(s.kinds[gvk])))
}

// revision is a resource version as a number; they only grow. 0 if it is none.
func revision(version string) uint64 {
	n, _ := strconv.ParseUint(version, 10, 64)
	return n
}

// find asks the API server whether an object that was damaged still is: its
// DamagedError, or nil.
func (s *Sieve) find(ctx context.Context, gvk schema.GroupVersionKind, key client.ObjectKey) error {
	if _, known := s.known(gvk)[key]; !known {
		return nil
	}
	_, _, broken, err := s.read(ctx, gvk, key.Namespace, &metav1.ListOptions{FieldSelector: "metadata.name=" + key.Name})
	if err != nil {
		return err
	}
	if d, still := broken[key]; still {
		return d.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(gvk, key)
	return nil
}

// known are the damaged objects of a kind.
func (s *Sieve) known(gvk schema.GroupVersionKind) map[client.ObjectKey]damaged {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.kinds[gvk])
}

// Mentioning is an option of List: a damaged object matters to the caller, and
// fails the list, only if its text holds one of some names.
func Mentioning(names ...string) client.ListOption { return mentioning(names) }

type mentioning []string

// ApplyToList asks the API server for nothing: it does not know what is damaged.
func (mentioning) ApplyToList(*client.ListOptions) {}

// concerning joins the errors of those damaged objects that matter to a list:
// all of them, if nothing says what does and strict is true.
func concerning(broken map[client.ObjectKey]damaged, options []client.ListOption, strict bool) error {
	var names []string
	for _, option := range options {
		if m, is := option.(mentioning); is {
			names, strict = append(names, m...), false
		}
	}
	var errs []error
	for _, d := range broken {
		named := slices.ContainsFunc(names, func(name string) bool { return name != "" && bytes.Contains(d.raw, []byte(name)) })
		if strict || named {
			errs = append(errs, d.err)
		}
	}
	return errors.Join(errs...)
}

// kindOf is the kind of an object, or of a list's items.
func (s *Sieve) kindOf(object runtime.Object) (schema.GroupVersionKind, error) {
	gvk, err := apiutil.GVKForObject(object, s.scheme)
	if _, list := object.(client.ObjectList); list && err == nil && len(gvk.Kind) > len("List") {
		gvk.Kind = gvk.Kind[:len(gvk.Kind)-len("List")]
	}
	return gvk, err
}
