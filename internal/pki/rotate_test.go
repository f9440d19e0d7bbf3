package pki

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
)

// verifyChain verifies what a server or client shows, as someone does who trusts
// some authorities: the first certificate, through those that follow.
func verifyChain(t *testing.T, trusted, shown []byte, options x509.VerifyOptions) error {
	t.Helper()
	options.Roots, options.Intermediates = x509.NewCertPool(), x509.NewCertPool()
	options.Roots.AppendCertsFromPEM(trusted)
	block, rest := pem.Decode(shown)
	options.Intermediates.AppendCertsFromPEM(rest)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	_, err = leaf.Verify(options)
	return err
}

// rotating are the files of a cluster at each stage of a rotation.
func rotating(t *testing.T) (settled, trusting, switched, retired map[string][]byte) {
	t.Helper()
	settled = newCluster(t)
	trusting, err := TrustNext(settled, now())
	if err != nil {
		t.Fatal(err)
	}
	if switched, err = Switch(trusting, names(), now()); err != nil {
		t.Fatal(err)
	}
	return settled, trusting, switched, Retire(switched)
}

func TestEachStageOfARotationVerifiesWhatTheStageBeforeAndAfterItShow(t *testing.T) {
	settled, trusting, switched, retired := rotating(t)
	for i, stage := range []struct {
		files map[string][]byte
		want  Stage
	}{{settled, StageSettled}, {trusting, StageTrusting}, {switched, StageSwitched}, {retired, StageSettled}} {
		if got := StageOf(stage.files); got != stage.want {
			t.Errorf("stage %d is %s, want %s", i, got, stage.want)
		}
	}
	neighbours := [][2]map[string][]byte{{settled, trusting}, {trusting, switched}, {switched, retired}, {settled, switched}}
	for i, pair := range neighbours {
		for _, entry := range clusterLeaves(names()) {
			options := asClient(now())
			if entry.leaf.Server {
				options = asServer("")
			}
			for _, way := range [][2]map[string][]byte{pair, {pair[1], pair[0]}} {
				if err := verifyChain(t, way[0][entry.authority], way[1][entry.certName], options); err != nil {
					t.Errorf("pair %d: %s: %v", i, entry.certName, err)
				}
			}
			if _, err := tls.X509KeyPair(pair[1][entry.certName], pair[1][entry.keyName]); err != nil {
				t.Errorf("pair %d: %s: %v", i, entry.certName, err)
			}
		}
	}
}

func TestARetiredAuthorityVouchesForNothing(t *testing.T) {
	settled, _, _, retired := rotating(t)
	for _, entry := range clusterLeaves(names()) {
		options := x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: now()}
		if verifyChain(t, retired[entry.authority], settled[entry.certName], options) == nil {
			t.Errorf("%s of before is still accepted", entry.certName)
		}
		if verifyChain(t, settled[entry.authority], retired[entry.certName], options) == nil {
			t.Errorf("%s is accepted by who trusts the former authority alone", entry.certName)
		}
	}
	if len(retired) != len(settled) {
		t.Errorf("%d files are left of %d", len(retired), len(settled))
	}
	if bytes.Equal(retired[ClusterCAKey], settled[ClusterCAKey]) {
		t.Error("the key of the cluster CA is the old one")
	}
}

func TestARotationCanFollowAnother(t *testing.T) {
	_, _, _, first := rotating(t)
	trusting, err := TrustNext(first, now())
	if err != nil {
		t.Fatal(err)
	}
	second, err := Switch(trusting, names(), now())
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyChain(t, first[ClusterCACert], second[APIServerCert], asServer("localhost")); err != nil {
		t.Error(err)
	}
}

func TestLeavesAreRenewedWithAThirdOfTheirLifeLeftAndOnceTheyExpired(t *testing.T) {
	files := newCluster(t)
	for after, want := range map[time.Duration]bool{
		0: false, controlPlaneValidity / 2: false, controlPlaneValidity * 7 / 10: true, 2 * controlPlaneValidity: true,
	} {
		at := now().Add(after)
		next, changed, err := Renewed(files, names(), at)
		if err != nil {
			t.Fatal(err)
		}
		if (len(changed) > 0) != want {
			t.Errorf("%v after the issue %v changed", after, changed)
		}
		if !want {
			continue
		}
		if len(changed) != len(clusterLeaves(names())) {
			t.Errorf("%v after the issue only %v changed", after, changed)
		}
		if err := verifyChain(t, files[ClusterCACert], next[APIServerCert], x509.VerifyOptions{DNSName: "localhost", CurrentTime: at}); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(next[ClusterCACert], files[ClusterCACert]) || !bytes.Equal(next[EncryptionKey], files[EncryptionKey]) {
			t.Error("a renewal of leaves changed more than leaves")
		}
	}
}

func TestTheEarliestExpiryComesFirst(t *testing.T) {
	files := newCluster(t)
	authority, err := ParseAuthority(files[EtcdCACert], files[EtcdCAKey])
	if err != nil {
		t.Fatal(err)
	}
	if files[EtcdClientCert], files[EtcdClientKey], err = authority.Issue(Leaf{CommonName: "c", Client: true, Validity: time.Minute}, now()); err != nil {
		t.Fatal(err)
	}
	expiries, err := Expiries(files)
	if err != nil {
		t.Fatal(err)
	}
	if first := expiries[0]; first.Name != EtcdClientCert || !first.NotAfter.Equal(now().Add(time.Minute)) || !first.RenewAt.Before(first.NotAfter) {
		t.Errorf("the first is %+v", first)
	}
	if len(expiries) != len(clusterLeaves(names())) {
		t.Errorf("%d expiries", len(expiries))
	}
}

func TestAServiceAccountKeySignsOnlyWhileItsTokensAreAccepted(t *testing.T) {
	settled := newCluster(t)
	trusting, err := TrustNextServiceAccountKey(settled)
	if err != nil {
		t.Fatal(err)
	}
	switched := SwitchServiceAccountKey(trusting)
	retired := RetireServiceAccountKeys(switched)
	for i, stage := range []struct {
		files    map[string][]byte
		want     Stage
		accepted int
	}{{settled, StageSettled, 1}, {trusting, StageTrusting, 2}, {switched, StageSwitched, 2}, {retired, StageSettled, 1}} {
		if got := ServiceAccountStageOf(stage.files); got != stage.want {
			t.Errorf("stage %d is %s, want %s", i, got, stage.want)
		}
		block, _ := pem.Decode(stage.files[ServiceAccountKey])
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		signer, ok := key.(*rsa.PrivateKey)
		if !ok {
			t.Fatalf("stage %d signs with a %T", i, key)
		}
		var accepted []any
		for rest := stage.files[ServiceAccountPub]; ; {
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			public, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			accepted = append(accepted, public)
		}
		if len(accepted) != stage.accepted || i != 1 && !signer.PublicKey.Equal(accepted[0].(*rsa.PublicKey)) {
			t.Errorf("stage %d accepts %d keys, the signer's not first", i, len(accepted))
		}
	}
	if bytes.Equal(retired[ServiceAccountKey], settled[ServiceAccountKey]) || bytes.Contains(retired[ServiceAccountPub], settled[ServiceAccountPub]) {
		t.Error("the former key is still there")
	}
}
