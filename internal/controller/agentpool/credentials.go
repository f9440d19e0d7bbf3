package agentpool

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// lookEvery is how often the machines' certificates are looked at although
// nothing else happens.
const lookEvery = 6 * time.Hour

// credentials keeps what each machine trusts and is trusted for in step with the
// cluster's authorities: it issues kube-proxy's certificate anew when it is due
// or of another authority, and names all of it in the Machine, whose host brings
// it into the machine. The machines of a pool are taken one after the other, so
// that the others answer meanwhile.
type credentials struct {
	client client.Client
	reader client.Reader
}

func (p *credentials) Reconcile(ctx context.Context, s *scope) error {
	if s.pool.DeletionTimestamp != nil || s.cluster == nil || s.cluster.DeletionTimestamp != nil || s.pool.Spec.CredentialsDigest == "" {
		return nil
	}
	var errs []error
	for _, slot := range s.kept() {
		if slot.machine == nil {
			continue
		}
		held := slot.machine.Spec.Credentials
		if held == nil || held.Source != s.pool.Spec.CredentialsDigest || !s.now.Before(held.RenewTime.Time) {
			errs = append(errs, p.renew(ctx, s, slot))
		}
		if held != nil && !stops(slot.machine.Spec.PowerState) && !slot.machine.Credentialed() {
			break // the next one when this one has them
		}
	}
	return errors.Join(errs...)
}

// renew brings one machine's Secret up to date, and then the Machine.
func (p *credentials) renew(ctx context.Context, s *scope, slot *slot) error {
	files, err := clusterFiles(ctx, p.reader, s)
	if err != nil {
		return err
	}
	if pki.NodeDigest(files) != s.pool.Spec.CredentialsDigest {
		return nil // the pool is about to be told of what is there now
	}
	own := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: slot.owner.Name}}
	if err := p.reader.Get(ctx, client.ObjectKeyFromObject(own), own); err != nil {
		return fmt.Errorf("reading the secret of machine %s: %w", slot.owner.Name, err)
	}
	if due := pki.RenewTime(own.Data[secretProxyCert], files[pki.UserCACert], s.now); !s.now.Before(due) {
		if own.Data[secretProxyCert], own.Data[secretProxyKey], err = proxyCertificate(files, s.now); err != nil {
			return err
		}
		if err := p.client.Update(ctx, own); err != nil {
			return fmt.Errorf("renewing kube-proxy's certificate of machine %s: %w", slot.owner.Name, err)
		}
	}
	wanted := machineCredentials(files, own.Data, s.now)
	if equality.Semantic.DeepEqual(wanted, slot.machine.Spec.Credentials) {
		return nil
	}
	changed := slot.machine.DeepCopy()
	changed.Spec.Credentials = wanted
	if err := p.client.Update(ctx, changed); err != nil {
		return fmt.Errorf("naming the credentials of machine %s: %w", slot.owner.Name, err)
	}
	slot.machine = changed
	return nil
}

// machineCredentials name what a machine gets of its cluster's files and its own.
func machineCredentials(cluster, own map[string][]byte, now time.Time) *v1alpha1.MachineCredentials {
	return &v1alpha1.MachineCredentials{
		Source: pki.NodeDigest(cluster), Digest: pki.MachineDigest(cluster[pki.ClusterCACert], own[secretProxyCert]),
		Authority: pki.AuthorityID(cluster[pki.ClusterCACert]),
		RenewTime: metav1.NewTime(pki.RenewTime(own[secretProxyCert], cluster[pki.UserCACert], now).Truncate(time.Second)),
	}
}

// clusterFiles reads the cluster's PKI.
func clusterFiles(ctx context.Context, reader client.Reader, s *scope) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: naming.SystemNamespace, Name: naming.Credentials(s.cluster.Spec.Incarnation)}
	if err := reader.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("reading the cluster's credentials: %w", err)
	}
	return secret.Data, nil
}

// credentialed is the pool's CredentialsDigest if every machine that is to run has
// what it names; "" otherwise.
func (s *scope) credentialed() string {
	for _, slot := range s.kept() {
		machine := slot.machine
		if machine == nil || machine.Spec.Credentials == nil || machine.Spec.Credentials.Source != s.pool.Spec.CredentialsDigest {
			return ""
		}
		if !stops(machine.Spec.PowerState) && !machine.Credentialed() {
			return ""
		}
	}
	return s.pool.Spec.CredentialsDigest
}
