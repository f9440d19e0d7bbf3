package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// installSecret is what all processes of a shared management API have in
// common and no other object holds: who the install is, and the authority of
// the front ends' certificates. The keys of tokens and of client secrets lie in
// Secrets of their own (package identity).
const installSecret = "install"

// The keys of the Secret.
const (
	keyTenant       = "tenantID"
	keySubscription = "subscriptionID"
	keyClient       = "clientID"
	keyClientSecret = "clientSecret"
	keyLocation     = "location"
	keyZone         = "dnsZone"
	keyCA           = "ca.crt"
	keyCAKey        = "ca.key"
)

// errNoInstall says that a process came before the first of its install.
var errNoInstall = errors.New("no install is in this management API yet: start the process of the role all first")

// join takes part in the install that the management API holds, or begins it.
// Of two that begin at once, the one that creates the Secret wins.
func (d *daemon) join(ctx context.Context, live client.Client, l *listening) error {
	name := client.ObjectKey{Namespace: naming.SystemNamespace, Name: installSecret}
	var secret corev1.Secret
	err := live.Get(ctx, name, &secret)
	if apierrors.IsNotFound(err) {
		if !d.hosts() {
			return errNoInstall
		}
		if err := d.begin(ctx, live, l); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("storing the install's identity: %w", err)
		}
		err = live.Get(ctx, name, &secret)
	}
	if err != nil {
		return fmt.Errorf("reading the install's identity: %w", err)
	}
	return d.adopt(&secret, l)
}

// begin stores this home's identity as the install's.
func (d *daemon) begin(ctx context.Context, live client.Client, l *listening) error {
	var hosts hostapi.HostList
	if err := live.List(ctx, &hosts); err != nil {
		return err
	}
	if len(hosts.Items) > 0 {
		return errors.New("this is the management API of an install that has it for itself: it cannot be shared")
	}
	authority, err := ensureAuthority(d.home)
	if err != nil {
		return err
	}
	key, err := authority.KeyPEM()
	if err != nil {
		return err
	}
	who := l.identity
	return live.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: installSecret},
		Data: map[string][]byte{
			keyTenant: []byte(who.TenantID), keySubscription: []byte(who.SubscriptionID),
			keyClient: []byte(who.ClientID), keyClientSecret: []byte(who.ClientSecret),
			keyLocation: []byte(d.options.Location), keyZone: []byte(d.options.DNSZone),
			keyCA: authority.CertificatePEM(), keyCAKey: key,
		},
	})
}

// adopt makes the install's identity this home's.
func (d *daemon) adopt(secret *corev1.Secret, l *listening) error {
	for flag, values := range map[string][2]string{
		"location": {string(secret.Data[keyLocation]), d.options.Location}, "dns-zone": {string(secret.Data[keyZone]), d.options.DNSZone},
	} {
		if values[0] != values[1] {
			return fmt.Errorf("--%s %q: the install of this management API has %q", flag, values[1], values[0])
		}
	}
	if _, err := pki.ParseAuthority(secret.Data[keyCA], secret.Data[keyCAKey]); err != nil {
		return fmt.Errorf("reading the install's CA: %w", err)
	}
	// The key first: a certificate without its key would be taken for lost, and
	// a pair that a kill left half changed is written again at the next start.
	for _, file := range []struct {
		path    string
		content []byte
		mode    os.FileMode
	}{{filepath.Join(d.home.IdentityDir(), "ca.key"), secret.Data[keyCAKey], 0o600}, {d.home.CAFile(), secret.Data[keyCA], 0o644}} {
		if err := home.WriteFile(file.path, file.content, file.mode); err != nil {
			return err
		}
	}
	who := l.identity
	who.TenantID, who.SubscriptionID = string(secret.Data[keyTenant]), string(secret.Data[keySubscription])
	who.ClientID, who.ClientSecret = string(secret.Data[keyClient]), string(secret.Data[keyClientSecret])
	if who == l.identity {
		return nil
	}
	l.identity = who
	return who.Save(d.home.CloudFile())
}
