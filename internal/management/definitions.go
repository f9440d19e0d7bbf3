package management

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"berth.dev/berth/internal/naming"
)

// digestAnnotation holds the digest of the definition that was applied last:
// one that is unchanged costs no write at the next start.
const digestAnnotation = "berth.dev/definition-digest"

// ApplyDefinitions brings the CustomResourceDefinitions of files up to date,
// makes the namespace for Secrets, and waits until every kind is served.
func ApplyDefinitions(ctx context.Context, config *rest.Config, files fs.FS) error {
	return apply(ctx, config, files, false)
}

func apply(ctx context.Context, config *rest.Config, files fs.FS, shared bool) error {
	desired, err := parseDefinitions(files)
	if err != nil {
		return err
	}
	client, err := apiextensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("applying definitions: %w", err)
	}
	definitions := client.CustomResourceDefinitions()
	existing, err := definitions.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing definitions: %w", err)
	}
	current := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for i := range existing.Items {
		current[existing.Items[i].Name] = &existing.Items[i]
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return ensureNamespace(groupCtx, config) })
	waiting := map[string]bool{}
	for _, definition := range desired {
		waiting[definition.Name] = true
		if old := current[definition.Name]; old != nil && old.Annotations[digestAnnotation] == definition.Annotations[digestAnnotation] {
			continue
		}
		group.Go(func() error { return applyDefinition(groupCtx, definitions, definition, current[definition.Name]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := waitEstablished(ctx, definitions, waiting); err != nil {
		return err
	}
	if shared {
		return waitDiscovered(ctx, config, desired)
	}
	if err := settle(ctx, definitions); err != nil {
		return err
	}
	return open(ctx, config, desired)
}

// waitDiscovered waits until the API server names every kind in its discovery,
// which it does a moment after it says that the kind is established: a client
// that maps kinds by discovery finds none until then. Discovery cannot be watched.
func waitDiscovered(ctx context.Context, config *rest.Config, definitions []*apiextensionsv1.CustomResourceDefinition) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("waiting for discovery: %w", err)
	}
	versions := map[string]sets.Set[string]{}
	for _, definition := range definitions {
		for _, version := range definition.Spec.Versions {
			name := definition.Spec.Group + "/" + version.Name
			if versions[name] == nil {
				versions[name] = sets.New[string]()
			}
			versions[name].Insert(definition.Spec.Names.Plural)
		}
	}
	for name, awaited := range versions {
		if err := wait.PollUntilContextCancel(ctx, discoveryPeriod, true, func(ctx context.Context) (bool, error) {
			served, err := client.ServerResourcesForGroupVersion(name)
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			for i := range served.APIResources {
				awaited.Delete(served.APIResources[i].Name)
			}
			return awaited.Len() == 0, nil
		}); err != nil {
			return fmt.Errorf("waiting for discovery of %s (missing: %s): %w", name, strings.Join(sets.List(awaited), ", "), err)
		}
	}
	return nil
}

// discoveryPeriod is how often waitDiscovered looks.
const discoveryPeriod = 50 * time.Millisecond

// open reads each kind once. The API server makes the storage of a kind when
// it is first asked for it, and sends watchers away for a second until that is
// filled: better now, all at once, than one after the other later.
func open(ctx context.Context, config *rest.Config, definitions []*apiextensionsv1.CustomResourceDefinition) error {
	client, err := apiextensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("opening the kinds: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, definition := range definitions {
		path := "/apis/" + definition.Spec.Group + "/" + definition.Spec.Versions[0].Name + "/" + definition.Spec.Names.Plural
		group.Go(func() error {
			return client.RESTClient().Get().AbsPath(path).Param("limit", "1").Do(groupCtx).Error()
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("opening the kinds: %w", err)
	}
	return nil
}

// settling is how long after a kind is established the API server holds back
// every create of that kind, so that other replicas hear of it first.
const settling = 2 * time.Second

// settle says of each kind that it has been established for long enough. The
// management API has one replica: there is none to wait for, and without this
// each first create after a first start takes two seconds.
func settle(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface) error {
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("settling definitions: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range list.Items {
		definition := &list.Items[i]
		for j := range definition.Status.Conditions {
			condition := &definition.Status.Conditions[j]
			if condition.Type != apiextensionsv1.Established || time.Since(condition.LastTransitionTime.Time) >= settling {
				continue
			}
			condition.LastTransitionTime = metav1.NewTime(condition.LastTransitionTime.Add(-settling))
			group.Go(func() error {
				_, err := client.UpdateStatus(groupCtx, definition, metav1.UpdateOptions{})
				if apierrors.IsConflict(err) {
					return nil // the API server wrote meanwhile: a create of this kind waits its two seconds
				}
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("settling definitions: %w", err)
	}
	return nil
}

func parseDefinitions(files fs.FS) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading definitions: %w", err)
	}
	var parsed []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("reading definitions: %w", err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, definition); err != nil {
			return nil, fmt.Errorf("reading the definition %s: %w", name, err)
		}
		digest := sha256.Sum256(content)
		if definition.Annotations == nil {
			definition.Annotations = map[string]string{}
		}
		definition.Annotations[digestAnnotation] = hex.EncodeToString(digest[:])
		parsed = append(parsed, definition)
	}
	if len(parsed) == 0 {
		return nil, errors.New("reading definitions: there are none")
	}
	return parsed, nil
}

func applyDefinition(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface,
	definition, old *apiextensionsv1.CustomResourceDefinition,
) error {
	var err error
	if old == nil {
		_, err = client.Create(ctx, definition, metav1.CreateOptions{})
	} else {
		definition.ResourceVersion = old.ResourceVersion
		_, err = client.Update(ctx, definition, metav1.UpdateOptions{})
	}
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		return nil // another process starts at the same time and applies the same
	}
	if err != nil {
		return fmt.Errorf("applying the definition %s: %w", definition.Name, err)
	}
	return nil
}

func ensureNamespace(ctx context.Context, config *rest.Config) error {
	client, err := core.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the namespace %s: %w", naming.SystemNamespace, err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: naming.SystemNamespace}}
	if _, err = client.Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the namespace %s: %w", naming.SystemNamespace, err)
	}
	return nil
}

// waitEstablished waits until every definition of waiting is served.
func waitEstablished(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, waiting map[string]bool) error {
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("waiting for definitions: %w", err)
	}
	for i := range list.Items {
		if established(&list.Items[i]) {
			delete(waiting, list.Items[i].Name)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	watcher, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return fmt.Errorf("waiting for definitions: %w", err)
	}
	defer watcher.Stop()
	for len(waiting) > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for definitions: %w", context.Cause(ctx))
		case event, open := <-watcher.ResultChan():
			if !open || event.Type == watch.Error {
				return fmt.Errorf("waiting for definitions: the watch ended: %w", apierrors.FromObject(event.Object))
			}
			if definition, ok := event.Object.(*apiextensionsv1.CustomResourceDefinition); ok && established(definition) {
				delete(waiting, definition.Name)
			}
		}
	}
	return nil
}

func established(definition *apiextensionsv1.CustomResourceDefinition) bool {
	for _, condition := range definition.Status.Conditions {
		if condition.Type == apiextensionsv1.Established {
			return condition.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}
