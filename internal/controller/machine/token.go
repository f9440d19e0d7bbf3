package machine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"berth.dev/berth/internal/addon"
	"berth.dev/berth/internal/naming"
)

// tokenValidity is how long a machine has to join before its token is renewed.
const tokenValidity = 24 * time.Hour

// secretTypeBootstrapToken is the type of the Secrets that Kubernetes takes for bootstrap tokens.
const secretTypeBootstrapToken corev1.SecretType = "bootstrap.kubernetes.io/token"

// token keeps the machine's one-time bootstrap token in the tenant from the
// moment its API server answers until the node has certificates of its own.
type token struct {
	config Config

	mu sync.Mutex
	// stored is when this process stored the token of an incarnation.
	stored map[string]time.Time
}

func (p *token) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if s.tenant == nil || s.tokenGone {
		return reconcile.Result{}, nil
	}
	if s.bootstrapped {
		if err := deleteToken(ctx, s); err != nil {
			return reconcile.Result{}, err
		}
		s.tokenGone = true
		p.forget(s)
		return reconcile.Result{}, nil
	}
	if p.isFresh(s) {
		return reconcile.Result{}, nil
	}
	if err := p.store(ctx, s); err != nil {
		return reconcile.Result{}, fmt.Errorf("storing the bootstrap token of %s: %w", s.machine.Spec.NodeName, err)
	}
	p.remember(s)
	return reconcile.Result{RequeueAfter: tokenValidity / 2}, nil
}

// store writes the token into the tenant, or renews the one that is there.
func (p *token) store(ctx context.Context, s *scope) error {
	identity := &corev1.Secret{}
	key := client.ObjectKey{Namespace: naming.SystemNamespace, Name: s.machine.Name}
	if err := p.config.Reader.Get(ctx, key, identity); err != nil {
		return fmt.Errorf("reading the machine's secret: %w", err)
	}
	id, secret, ok := strings.Cut(string(identity.Data["token"]), ".")
	if !ok || id != s.machine.Spec.BootstrapTokenID {
		return fmt.Errorf("the machine's secret does not hold token %s", s.machine.Spec.BootstrapTokenID)
	}
	wanted := tokenObject(id)
	wanted.Type = secretTypeBootstrapToken
	wanted.Data = map[string][]byte{
		"description":                    []byte("one-time identity of node " + s.machine.Spec.NodeName),
		"token-id":                       []byte(id),
		"token-secret":                   []byte(secret),
		"expiration":                     []byte(s.now.Add(tokenValidity).UTC().Format(time.RFC3339)),
		"usage-bootstrap-authentication": []byte("true"),
		"auth-extra-groups":              []byte(addon.BootstrappersGroup),
	}
	err := s.tenant.Client.Create(ctx, wanted)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	found := tokenObject(id)
	if err := s.tenant.Client.Get(ctx, client.ObjectKeyFromObject(found), found); err != nil {
		return err
	}
	found.Data = wanted.Data
	return s.tenant.Client.Update(ctx, found)
}

// deleteToken removes the token from the tenant.
func deleteToken(ctx context.Context, s *scope) error {
	err := s.tenant.Client.Delete(ctx, tokenObject(s.machine.Spec.BootstrapTokenID))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the bootstrap token of %s: %w", s.machine.Spec.NodeName, err)
	}
	return nil
}

// tokenObject is the tenant's Secret of a token.
func tokenObject(id string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: metav1.NamespaceSystem, Name: "bootstrap-token-" + id,
	}}
}

// identity tells apart what a machine needs its token for: its first certificates,
// and those of another authority later.
func (s *scope) identity() string {
	if s.machine.Spec.Credentials == nil {
		return s.machine.Spec.Incarnation
	}
	return s.machine.Spec.Incarnation + "/" + s.machine.Spec.Credentials.Authority
}

func (p *token) isFresh(s *scope) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.stored[s.identity()]
	return ok && s.now.Sub(at) < tokenValidity/2
}

func (p *token) remember(s *scope) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stored[s.identity()] = s.now
}

func (p *token) forget(s *scope) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.stored, s.identity())
}
