package controller_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// rotate writes what the front end writes for a rotation.
func (w *world) rotate(id string, kind containerservicev1.RotationKind, verb meta.Verb, grace time.Duration) {
	w.t.Helper()
	cluster := w.cluster("demo")
	cluster.Spec.Aborted = nil
	cluster.Spec.Rotate(containerservicev1.Rotation{Kind: kind, ID: id, GracePeriod: metav1.Duration{Duration: grace}})
	cluster.Spec.Operations = append(cluster.Spec.Operations, w.running(meta.ScopeCluster, id, verb, cluster.Generation+1))
	must(w.t, w.api.Update(context.Background(), cluster))
}

// stored are the cluster's credentials.
func (w *world) stored() map[string][]byte {
	w.t.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: naming.SystemNamespace, Name: naming.Credentials(w.cluster("demo").Spec.Incarnation)}
	must(w.t, w.api.Get(context.Background(), key, secret))
	return secret.Data
}

// rotated asserts that everyone runs with other authorities than before.
func (w *world) rotated(before map[string][]byte, stage pki.Stage) {
	w.t.Helper()
	now := w.stored()
	if got := pki.StageOf(now); got != stage {
		w.t.Fatalf("the rotation is %s, want %s", got, stage)
	}
	authority := pki.AuthorityID(now[pki.ClusterCACert])
	if authority == pki.AuthorityID(before[pki.ClusterCACert]) {
		w.t.Fatal("the old authority signs")
	}
	plane := &containerservicev1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: w.cluster("demo").Spec.Incarnation}}
	if !w.exists(plane) || plane.Spec.CredentialsDigest != pki.Digest(now) {
		w.t.Error("the control plane is not told of its credentials")
	}
	for _, machine := range w.machines() {
		if machine.Status.Authority != authority || !machine.Credentialed() {
			w.t.Errorf("%s has certificates of %q: %+v", machine.Name, machine.Status.Authority, machine.Status.Conditions)
		}
		token := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-" + machine.Spec.BootstrapTokenID}}
		if err := w.tenantOf("demo").Get(context.Background(), client.ObjectKeyFromObject(token), token); err == nil {
			w.t.Errorf("the one-time token of %s is still there", machine.Name)
		}
		own := &corev1.Secret{}
		must(w.t, w.api.Get(context.Background(), client.ObjectKey{Namespace: naming.SystemNamespace, Name: machine.Name}, own))
		if pki.IssuerID(own.Data["proxy.crt"]) != pki.AuthorityID(now[pki.UserCACert]) {
			w.t.Errorf("kube-proxy of %s has a certificate of the old authority", machine.Name)
		}
	}
}

// encryptedAnew asserts that another key encrypts than before, and that the old one is gone.
func (w *world) encryptedAnew(before map[string][]byte) {
	w.t.Helper()
	now := w.stored()
	keys, err := pki.EncryptionKeys(now[pki.EncryptionKey])
	must(w.t, err)
	if len(keys) != 1 || keys[0].Name == pki.EncryptionKeyName(before) || pki.EncryptionStageOf(now) != pki.StageSettled {
		w.t.Errorf("%d keys, the first is %q", len(keys), keys[0].Name)
	}
	plane := &containerservicev1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: w.cluster("demo").Spec.Incarnation}}
	if !w.exists(plane) || plane.Spec.CredentialsDigest != pki.Digest(now) || plane.Spec.EncryptionKeyName != "" {
		w.t.Errorf("the control plane is told of %+v", plane.Spec)
	}
}

func rotations() map[string]story {
	one := func(w *world) { w.put("demo", 1); w.live() }
	original, _ := credentials()
	return map[string]story{
		"rotate the authorities": {
			before: one,
			event: func(w *world) {
				w.rotate("rotate", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, time.Hour)
			},
			check: func(w *world) {
				w.consistent("demo", 1)
				w.ended("rotate", meta.OperationSucceeded)
				w.rotated(original, pki.StageSwitched)
			},
		},
		"rotate the authorities and retire the old ones at once": {
			before: one,
			event: func(w *world) {
				w.rotate("rotate", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, 0)
			},
			check: func(w *world) {
				w.consistent("demo", 1)
				w.ended("rotate", meta.OperationSucceeded)
				w.rotated(original, pki.StageSettled)
			},
		},
		"rotate the service-account key": {
			before: one,
			event: func(w *world) {
				w.rotate("keys", containerservicev1.RotateServiceAccountKeys, meta.VerbRotateServiceAccountKeys, time.Hour)
			},
			check: func(w *world) {
				w.consistent("demo", 1)
				w.ended("keys", meta.OperationSucceeded)
				if got := pki.ServiceAccountStageOf(w.stored()); got != pki.StageSwitched {
					w.t.Errorf("the rotation is %s", got)
				}
			},
		},
		"rotate the key of the encryption at rest": {
			before: one,
			event: func(w *world) {
				w.rotate("encryption", containerservicev1.RotateEncryptionKeys, meta.VerbRotateEncryptionKey, 0)
			},
			check: func(w *world) {
				w.consistent("demo", 1)
				w.ended("encryption", meta.OperationSucceeded)
				w.encryptedAnew(original)
			},
		},
	}
}

func TestAKillBehindAnyWriteOfARotationHeals(t *testing.T) { heals(t, rotations()) }

func TestTheOldAuthoritiesAreTrustedUntilTheGracePeriodHasPassed(t *testing.T) {
	w := demo(t, 2)
	before := w.stored()
	w.rotate("rotate", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, time.Hour)
	w.live()
	w.ended("rotate", meta.OperationSucceeded)
	w.rotated(before, pki.StageSwitched)
	status := w.cluster("demo").Status
	if want := w.clock.Now().Add(time.Hour); status.Certificates.RetireTime == nil || !status.Certificates.RetireTime.Time.Equal(want) ||
		containerservicev1.ConditionTrue(status.Conditions, containerservicev1.ConditionPredecessorsRetired) {
		t.Errorf("they retire at %v, want %v: %+v", status.Certificates.RetireTime, want, status.Conditions)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Hour + time.Second))
	w.live()
	w.rotated(before, pki.StageSettled)
	status = w.cluster("demo").Status
	if status.Certificates.RetireTime != nil || !containerservicev1.ConditionTrue(status.Conditions, containerservicev1.ConditionPredecessorsRetired) {
		t.Errorf("they are still there: %+v", status)
	}
}

func TestTheOldAuthoritiesStayUntilEveryNamespaceHasTheNew(t *testing.T) {
	w := demo(t, 1)
	before := w.stored()
	bundle := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "slow", Name: "kube-root-ca.crt"}, Data: map[string]string{"ca.crt": string(before[pki.ClusterCACert])},
	}
	must(t, w.tenantOf("demo").Create(context.Background(), bundle))
	w.rotate("rotate", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, 0)
	w.live()
	w.ended("rotate", meta.OperationSucceeded)
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	w.live()
	w.rotated(before, pki.StageSwitched)
	retired := apimeta.FindStatusCondition(w.cluster("demo").Status.Conditions, containerservicev1.ConditionPredecessorsRetired)
	if retired == nil || retired.Status == metav1.ConditionTrue || !strings.Contains(retired.Message, "slow") {
		t.Errorf("nobody is told what is waited for: %+v", retired)
	}
	bundle.Data["ca.crt"] = string(w.stored()[pki.ClusterCACert])
	must(t, w.tenantOf("demo").Update(context.Background(), bundle))
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	w.live()
	w.rotated(before, pki.StageSettled)
}

func TestTheOldAuthoritiesStayUntilPodsHaveTheNewMounted(t *testing.T) {
	w := demo(t, 1)
	before := w.stored()
	pod := func(name, source string) *corev1.Pod {
		volume := corev1.Volume{Name: "bundle", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: source}}}},
		}}}
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name + "-uid")},
			Spec:       corev1.PodSpec{NodeName: w.node().Name, Volumes: []corev1.Volume{volume}},
		}
	}
	for _, made := range []*corev1.Pod{pod("slow", "kube-root-ca.crt"), pod("copy", "a-copy-of-it")} {
		must(t, w.tenantOf("demo").Create(context.Background(), made))
	}
	copied := containerservicev1.BundleBehind{PodUID: "copy-uid", Volume: "bundle"}
	gone := containerservicev1.BundleBehind{PodUID: "gone-uid", Volume: "bundle"}
	w.behind = []containerservicev1.BundleBehind{{PodUID: "slow-uid", Volume: "bundle"}, copied, gone}
	w.rotate("rotate", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, 0)
	w.live()
	w.ended("rotate", meta.OperationSucceeded)
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	w.live()
	w.rotated(before, pki.StageSwitched)
	retired := apimeta.FindStatusCondition(w.cluster("demo").Status.Conditions, containerservicev1.ConditionPredecessorsRetired)
	if retired == nil || retired.Status == metav1.ConditionTrue || !strings.HasSuffix(retired.Message, "in default/slow") {
		t.Errorf("nobody is told what is waited for: %+v", retired)
	}
	w.behind = []containerservicev1.BundleBehind{copied, gone}
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	w.live()
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	w.live()
	w.rotated(before, pki.StageSettled)
}

func TestARotationRightAfterAnotherRetiresWhatThatOneReplaced(t *testing.T) {
	w := demo(t, 1)
	w.rotate("first", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, 24*time.Hour)
	w.live()
	middle := w.stored()
	w.rotate("second", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, 24*time.Hour)
	w.live()
	w.ended("second", meta.OperationSucceeded)
	w.rotated(middle, pki.StageSwitched)
}

func TestARotationEndsOnlyOnceTheKubeletsHaveNewCertificates(t *testing.T) {
	w := demo(t, 1)
	w.kubeletsDown = true
	w.rotate("rotate", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, 0)
	w.live()
	if _, ended, _ := w.history.Get("rotate"); ended {
		t.Fatal("the rotation ended with a kubelet that has certificates of the old authority")
	}
	if got := pki.StageOf(w.stored()); got != pki.StageSwitched {
		t.Fatalf("the old authority is gone while a node needs it: %s", got)
	}
	w.kubeletsDown = false
	w.live()
	w.ended("rotate", meta.OperationSucceeded)
}

func TestAKeyOfTheEncryptionAtRestStaysUntilNothingIsEncryptedWithIt(t *testing.T) {
	w := demo(t, 1)
	before := w.stored()
	w.rewritesNothing = true
	w.rotate("encryption", containerservicev1.RotateEncryptionKeys, meta.VerbRotateEncryptionKey, 0)
	w.live()
	if _, ended, _ := w.history.Get("encryption"); ended {
		t.Fatal("the rotation ended while values are encrypted with the old key")
	}
	keys, err := pki.EncryptionKeys(w.stored()[pki.EncryptionKey])
	must(t, err)
	if len(keys) != 2 || keys[1].Name != pki.EncryptionKeyName(before) {
		t.Fatalf("the old key is gone: %d keys", len(keys))
	}
	w.rotate("again", containerservicev1.RotateEncryptionKeys, meta.VerbRotateEncryptionKey, 0)
	w.live()
	if again, err := pki.EncryptionKeys(w.stored()[pki.EncryptionKey]); err != nil || len(again) != 2 || again[1] != keys[1] {
		t.Fatalf("another rotation took the old key away: %v", err)
	}
	w.rewritesNothing = false
	plane := &containerservicev1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: w.cluster("demo").Spec.Incarnation}}
	if !w.exists(plane) {
		t.Fatal("there is no control plane")
	}
	plane.Status.EncryptionKeyName = plane.Spec.EncryptionKeyName
	must(t, w.api.Status().Update(context.Background(), plane))
	w.live()
	w.ended("again", meta.OperationSucceeded)
	w.encryptedAnew(before)
}

func TestAnAbortedRotationGoesOnWithTheNext(t *testing.T) {
	w := demo(t, 1)
	w.hostDown = true
	w.rotate("first", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, 0)
	w.live()
	if !w.abort(meta.ScopeCluster) {
		t.Fatal("the rotation ended while the host did nothing")
	}
	w.live()
	w.hostDown = false
	w.live()
	w.ended("first", meta.OperationCanceled)
	before := w.stored()
	w.rotate("second", containerservicev1.RotateAuthorities, meta.VerbRotateCertificates, 0)
	w.live()
	w.ended("second", meta.OperationSucceeded)
	w.rotated(before, pki.StageSettled)
}

func TestANodeWhoseCertificatesEndedHasItsTokenAgainUntilItGotOthers(t *testing.T) {
	w := demo(t, 1)
	token := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: "kube-system", Name: "bootstrap-token-" + w.machines()[0].Spec.BootstrapTokenID,
	}}
	ended := func(is bool) {
		t.Helper()
		machine := w.machines()[0]
		machine.Status.CertificatesEnded = is // as its host sees it
		must(t, w.api.Status().Update(context.Background(), &machine))
		w.live()
		machine = w.machines()[0]
		err := w.tenantOf("demo").Get(context.Background(), client.ObjectKeyFromObject(token), token)
		if there := err == nil; there != is || machine.NeedsToken() != is {
			t.Fatalf("ended %t: the token is there %t, it needs it %t: %+v", is, there, machine.NeedsToken(), machine.Status.Conditions)
		}
	}
	ended(true)
	told := apimeta.FindStatusCondition(w.machines()[0].Status.Conditions, containerservicev1.ConditionBootstrapped)
	if told == nil || told.Reason != "CertificatesEnded" {
		t.Errorf("nobody is told why: %+v", told)
	}
	ended(false)
}

func TestCertificatesAreRenewedBeforeTheyExpireAndAfterALongSleep(t *testing.T) {
	for name, after := range map[string]time.Duration{"with a third of their life left": 250 * 24 * time.Hour, "expired": 400 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := demo(t, 1)
			w.clock.SetTime(w.clock.Now().Add(after))
			w.live()
			now := w.stored()
			block, _ := pem.Decode(now[pki.APIServerCert])
			certificate, err := x509.ParseCertificate(block.Bytes)
			must(t, err)
			if left := certificate.NotAfter.Sub(w.clock.Now()); left < 300*24*time.Hour {
				t.Errorf("the API server's certificate is valid for %v more", left)
			}
			status := w.cluster("demo").Status.Certificates
			if status == nil || status.EarliestExpiry.Sub(w.clock.Now()) < 300*24*time.Hour {
				t.Errorf("the status says %+v", status)
			}
			for _, machine := range w.machines() {
				if due := machine.Spec.Credentials.RenewTime; due.Sub(w.clock.Now()) < 200*24*time.Hour {
					t.Errorf("kube-proxy's certificate is due at %v", due)
				}
			}
		})
	}
}
