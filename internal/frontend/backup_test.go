package frontend_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/vault"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/home"
)

func backupPath(name string) string {
	return groupPath + "/providers/Berth.ContainerService/backups/" + name + "?api-version=2026-11-01"
}

func backupAction(name, action string) string {
	return groupPath + "/providers/Berth.ContainerService/backups/" + name + "/" + action + "?api-version=2026-11-01"
}

// safe is a rig with a cluster, a place for backups and the service's key.
type safe struct {
	*rig
	dir   string
	vault *vault.Vault
	ring  *backup.Keyring
}

func newSafe(t *testing.T) *safe {
	t.Helper()
	s := &safe{dir: t.TempDir()}
	s.vault = vault.New(vault.Options{Home: home.Home{Dir: s.dir, Instance: "test"}})
	s.rig = made(t, func(c *frontend.Config) { c.Backups = s.vault })
	keys := backup.NewSecret()
	if err := s.store.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "berth-system", Name: backup.SecretName}, Data: keys}); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.ring, err = backup.FromSecret(keys); err != nil {
		t.Fatal(err)
	}
	s.writes = 0
	return s
}

// file is a backup of the rig's cluster, as another service may have written it.
func (s *safe) file(tenant, incarnation string, ring *backup.Keyring) []byte {
	s.t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, ring, backup.Header{
		TenantID: tenant, ClusterID: clusterPath, Incarnation: incarnation, Prefix: "/berth/" + incarnation, KubernetesVersion: "1.35.4",
		Revision: 341, Keys: 1, Time: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), Cluster: []byte("{}"),
	}, nil)
	if err == nil {
		err = w.Add(backup.Entry{Key: "/configmaps/default/one", Value: []byte("word")})
	}
	if err == nil {
		_, err = w.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Bytes()
}

// kept stores a backup as the host agent has it once it is checked.
func (s *safe) kept(t *testing.T, name, incarnation string, content []byte) *containerservicev1alpha1.Backup {
	t.Helper()
	check(t, s.call(http.MethodPost, backupAction(name, "upload"), string(s.file(tenantID, "aaaaaaaaaa", s.ring))), want{201, "", "", ""})
	var list containerservicev1alpha1.BackupList
	if err := s.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		b := &list.Items[i]
		if b.Spec.Name != name {
			continue
		}
		now := metav1.Now()
		b.Status.ClusterID, b.Status.Time, b.Status.Revision = clusterPath, &now, 341
		condition.Stamp{Time: now.Time}.Set(&b.Status.Conditions, containerservicev1alpha1.ConditionReady, condition.True(""))
		if err := s.store.Update(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, "backups", b.Spec.Incarnation+".backup"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Fatalf("there is no backup %s", name)
	return nil
}

// letGo plays the host agent with backups that are deleted; there are to be no others.
func (s *safe) letGo(t *testing.T) {
	t.Helper()
	var list containerservicev1alpha1.BackupList
	if err := s.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		b := &list.Items[i]
		if b.DeletionTimestamp == nil {
			t.Errorf("the backup %s stays", b.Spec.Name)
		}
		b.Finalizers = nil
		if err := s.store.Update(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

func otherRing(t *testing.T) *backup.Keyring {
	t.Helper()
	ring, err := backup.FromSecret(backup.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestAFileThatIsNoBackupOfThisServiceIsRefusedAndLeavesNothing(t *testing.T) {
	s := newSafe(t)
	whole := s.file(tenantID, "aaaaaaaaaa", s.ring)
	altered := bytes.Clone(whole)
	altered[len(altered)-20] ^= 1
	for name, c := range map[string]struct {
		content []byte
		want    want
	}{
		"nothing":           {nil, want{400, "BackupDamaged", "", "truncated or altered"}},
		"something else":    {[]byte("no backup at all, but long enough"), want{400, "BackupDamaged", "", ""}},
		"a truncated file":  {whole[:len(whole)-1], want{400, "BackupDamaged", "", "Nothing was changed"}},
		"an altered file":   {altered, want{400, "BackupDamaged", "", ""}},
		"of another key":    {s.file(tenantID, "aaaaaaaaaa", otherRing(t)), want{409, "BackupKeyNotHeld", "", "key"}},
		"of another tenant": {s.file("99999999-9999-4999-8999-999999999999", "aaaaaaaaaa", s.ring), want{403, "BackupOfAnotherTenant", "", "Nothing was stored"}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, s.call(http.MethodPost, backupAction("b1", "upload"), string(c.content)), c.want)
			s.letGo(t)
			if left, err := s.vault.List(); err != nil || len(left) != 0 {
				t.Errorf("left are the files %v, %v", left, err)
			}
		})
	}
}

func TestARestoreThatCannotBeIsRefusedAndChangesNothing(t *testing.T) {
	inMemory(t, "what its backup says of the cluster is empty")
	s := newSafe(t)
	own := s.cluster().Spec.Incarnation
	whole := s.file(tenantID, own, s.ring)
	s.kept(t, "good", own, whole)
	s.kept(t, "elsewhere", own, s.file(tenantID, "zzzzzzzzzz", s.ring))
	s.kept(t, "stranger", own, s.file(tenantID, own, otherRing(t)))
	s.kept(t, "cut", own, whole[:60])
	const accepted = `{"acceptLoss":true}`
	for name, c := range map[string]struct {
		backup, body string
		want         want
	}{
		"the loss is not accepted":   {"good", `{}`, want{409, "DataLossNotAccepted", "acceptLoss", "after revision 341"}},
		"no such backup":             {"none", accepted, want{404, "ResourceNotFound", "", ""}},
		"of another cluster":         {"elsewhere", accepted, want{409, "OperationNotAllowed", "clusterId", "is not the one that the backup is of"}},
		"with a key that is unknown": {"stranger", accepted, want{409, "BackupKeyNotHeld", "", ""}},
		"of a truncated file":        {"cut", accepted, want{400, "BackupDamaged", "", ""}},
		"a word for a truth":         {"good", `{"acceptLoss":"yes"}`, want{400, "", "", ""}},
		"to no cluster":              {"good", `{"acceptLoss":true,"clusterId":"x"}`, want{400, "InvalidParameter", "clusterId", ""}},
		"to a new one that is there": {"good", `{"new":true}`, want{409, "ResourceExists", "", "needs a name that is free"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.cluster().ResourceVersion
			check(t, s.call(http.MethodPost, backupAction(c.backup, "restore"), c.body), c.want)
			if s.cluster().ResourceVersion != before {
				t.Error("the cluster was written")
			}
		})
	}
}

func TestABackupIsNotDeletedWhileAClusterIsRestoredFromIt(t *testing.T) {
	s := newSafe(t)
	own := s.cluster().Spec.Incarnation
	s.kept(t, "b1", own, s.file(tenantID, own, s.ring))
	check(t, s.call(http.MethodPost, backupAction("b1", "restore"), `{"acceptLoss":true}`), want{202, "", "", ""})
	check(t, s.call(http.MethodDelete, backupPath("b1"), ""), want{409, "OperationNotAllowed", "", "is being restored from the backup 'b1'"})
	s.finish()
	check(t, s.call(http.MethodDelete, backupPath("b1"), ""), want{200, "", "", ""})
}

func TestABackupThatFailedIsTriedAgainUnderItsName(t *testing.T) {
	s := newSafe(t)
	s.finish()
	ask := `{"properties":{"clusterId":"` + clusterPath + `"}}`
	check(t, s.call(http.MethodPut, backupPath("b1"), ask), want{201, "", "", ""})
	check(t, s.call(http.MethodPut, backupPath("b1"), ask), want{200, "", "", ""})
	var list containerservicev1alpha1.BackupList
	if err := s.store.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d backups: %v", len(list.Items), err)
	}
	first := list.Items[0]
	first.Status.Failure = &meta.Failure{Code: "InsufficientStorage", Message: "the disk has no room for the backup"}
	if err := s.store.Update(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	if a := s.call(http.MethodGet, backupPath("b1"), ""); !strings.Contains(a.raw, `"provisioningState":"Failed"`) || !strings.Contains(a.raw, "InsufficientStorage") {
		t.Errorf("a failed backup is shown as %s", a.raw)
	}
	check(t, s.call(http.MethodPut, backupPath("b1"), ask), want{201, "", "", ""})
	if err := s.store.List(t.Context(), &list); err != nil || len(list.Items) != 1 || list.Items[0].Spec.Incarnation == first.Spec.Incarnation || list.Items[0].Status.Failure != nil {
		t.Errorf("tried again: %+v, %v", list.Items, err)
	}
}

func TestALiftedUpgradeGoesBackOnlyWithItsBackupAndAnAcceptedLoss(t *testing.T) {
	inMemory(t, "its backup is made by hand, after the upgrade")
	s := newSafe(t)
	check(t, s.call(http.MethodPut, clusterPath, upgradeTo("1.36.3")), want{200, "", "", ""})
	s.finish()
	check(t, s.call(http.MethodPost, berth("lift"), ""), want{202, "", "", ""})
	s.finish()
	cluster := s.cluster()
	u := cluster.Spec.Upgrade
	if u.BackupName == "" || u.LiftTime == nil {
		t.Fatalf("the upgrade is %+v", u)
	}
	rollback := func(body string, w want) { t.Helper(); check(t, s.call(http.MethodPost, berth("rollback"), body), w) }
	rollback(`{"acceptLoss":true}`, want{409, "OperationNotAllowed", "", "no longer there"})

	own := cluster.Spec.Incarnation
	uploaded := s.kept(t, "b1", own, s.file(tenantID, own, s.ring))
	taken := &containerservicev1alpha1.Backup{ObjectMeta: metav1.ObjectMeta{Name: u.BackupName}, Spec: uploaded.Spec, Status: uploaded.Status}
	taken.Spec.Name = ""
	if err := s.store.Create(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	rollback("", want{409, "DataLossNotAccepted", "acceptLoss", "after revision 341"})
	rollback(`{"acceptLoss":1}`, want{400, "", "", ""})
	path := filepath.Join(s.dir, "backups", taken.Spec.Incarnation+".backup")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	rollback(`{"acceptLoss":true}`, want{400, "BackupDamaged", "", ""})
	if s.cluster().Spec.Restore != nil {
		t.Fatal("a rollback that was refused wrote the cluster")
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	rollback(`{"acceptLoss":true}`, want{202, "", "", ""})
	spec := s.cluster().Spec
	if spec.KubernetesVersion != "1.35.4" || spec.Upgrade != nil || spec.Restore == nil || spec.Restore.BackupName != u.BackupName || !spec.Restore.Required ||
		spec.Operations[0].Verb != meta.VerbRollback {
		t.Errorf("the spec is %+v", spec)
	}
}
