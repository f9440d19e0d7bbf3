package frontend_test

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/backup"
)

func TestABackupOfAServiceWhoseKeyWasImportedIsTakenInAndRestoredAsANewCluster(t *testing.T) {
	const theirs, others = "99999999-9999-4999-8999-999999999999", "88888888-8888-4888-8888-888888888888"
	s := newSafe(t)
	there := backup.NewSecret()
	ring, err := backup.FromSecret(there)
	if err != nil {
		t.Fatal(err)
	}
	file := s.file(theirs, "zzzzzzzzzz", ring)
	check(t, s.call(http.MethodPost, backupAction("b1", "upload"), string(file)), want{409, "BackupKeyNotHeld", "", "berth admin backup-key import"})
	s.letGo(t)

	keys, err := backup.Keys(there, theirs)
	if err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := s.store.Get(t.Context(), client.ObjectKey{Namespace: "berth-system", Name: backup.SecretName}, &secret); err != nil {
		t.Fatal(err)
	}
	if secret.Data, _, err = backup.WithKeys(secret.Data, tenantID, keys); err == nil {
		err = s.store.Update(t.Context(), &secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	check(t, s.call(http.MethodPost, backupAction("b2", "upload"), string(s.file(others, "zzzzzzzzzz", ring))), want{403, "BackupOfAnotherTenant", "", others})
	s.letGo(t)
	s.kept(t, "b3", "zzzzzzzzzz", file)
	check(t, s.call(http.MethodPost, backupAction("b3", "restore"), `{"acceptLoss":true,"clusterId":"`+clusterPath+`"}`),
		want{409, "OperationNotAllowed", "clusterId", "Restore to a new cluster"})
	check(t, s.call(http.MethodPost, backupAction("b4", "upload"), string(file)), want{201, "", "", ""})
}
