package agent

import (
	"context"
	"fmt"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/log"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/pki"
)

// reencrypt has every encrypted value of a control plane encrypted with the key
// that its spec names, and says whether it is to be looked at again soon. It begins
// once no API server runs that encrypts with another one: the values are written
// beside the one that runs, which sees them as changes that change nothing.
func (r *controlPlaneReconciler) reencrypt(
	ctx context.Context, object *containerservice.ControlPlane, desired controlplane.Desired, status controlplane.Status,
) (again bool) {
	wanted := object.Spec.EncryptionKeyName
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	switch {
	case wanted == "":
		object.Status.EncryptionKeyName = ""
		apimeta.RemoveStatusCondition(&object.Status.Conditions, containerservice.ConditionReencrypted)
		return false
	case object.Status.EncryptionKeyName == wanted:
		return false
	case !status.Ready || len(status.Outdated) > 0 || pki.EncryptionKeyName(desired.Credentials) != wanted:
		stamp.Set(&object.Status.Conditions, containerservice.ConditionReencrypted,
			condition.Waiting("waiting for the API server to encrypt with the new key"))
		return false // whatever it waits for is looked at anyway
	}
	key := "reencrypt/" + desired.ID + "/" + wanted
	done, written, err := r.jobs.Do(key, func(ctx context.Context) (int64, error) {
		client, err := datastore.Dial(datastoreEndpoint(desired.Datastore(), desired.NetworkNamespace, desired.Credentials))
		if err != nil {
			return 0, err
		}
		defer client.Close()
		in := datastore.Range{Client: client, Prefix: desired.EtcdPrefix}
		return in.Reencrypt(ctx, desired.Credentials[pki.EncryptionKey], func(seen, of int64) {
			r.jobs.Note(key, fmt.Sprintf("%d of %d keys looked at", seen, of))
		})
	})
	outcome := condition.Waiting("encrypting what is stored anew: " + r.jobs.Noted(key))
	switch {
	case err != nil:
		outcome = condition.Failed(fmt.Errorf("encrypting what is stored anew: %w", err))
		log.FromContext(ctx).Error(err, "encrypting what is stored anew")
	case done:
		object.Status.EncryptionKeyName = wanted
		outcome = condition.True(fmt.Sprintf("every encrypted value is encrypted with %s; %d were encrypted anew", wanted, written))
	}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionReencrypted, outcome)
	return true
}
