package runcommand

import (
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/command"
)

// Result answers with the result of a command, or 202 until there is one.
func (h *Handlers) Result(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := h.Cluster(r)
	if err != nil {
		return err
	}
	id := strings.ToLower(r.Param("commandID"))
	notFound := arm.NewError(http.StatusNotFound, "CommandNotFound",
		"The managed cluster '%s' has no command '%.64s'. Results are kept for %d hours, at most %d of them for one cluster.",
		cluster.Spec.Name, r.Param("commandID"), int(command.Retention.Hours()), command.MaxKept)
	if !isID(id) {
		return notFound
	}
	var found v1alpha1.ClusterCommand
	err = h.Client.Get(r.Context(), client.ObjectKey{Name: id}, &found)
	switch {
	case apierrors.IsNotFound(err):
		return notFound
	case err != nil:
		return err
	case found.Spec.ClusterName != cluster.Name || found.Spec.Incarnation != cluster.Spec.Incarnation:
		return notFound
	case !found.Finished():
		w.Header().Set("Location", r.BaseURL()+r.URL.RequestURI())
		w.Header().Set("Retry-After", arm.RetryAfter)
		return arm.WriteJSON(w, http.StatusAccepted, map[string]any{"id": id, "properties": map[string]any{
			"phase": "Running", "message": found.Status.Message,
		}})
	}
	output, err := command.UnpackOutput(found.Status.Output)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return arm.WriteJSON(w, http.StatusOK, map[string]any{"id": id, "properties": properties(&found.Status, output)})
}

// properties are the result on the wire. A command that ended by itself
// Succeeded, whatever its exit code, as in the public service.
func properties(status *v1alpha1.ClusterCommandStatus, output string) map[string]any {
	result := map[string]any{"provisioningState": "Failed", "logs": output}
	if status.ExitCode != nil {
		result["provisioningState"], result["exitCode"] = "Succeeded", *status.ExitCode
	}
	if status.Reason != "" {
		result["reason"] = status.Reason
	}
	for name, at := range map[string]*metav1.Time{"startedAt": status.StartedAt, "finishedAt": status.FinishedAt} {
		if at != nil && !at.IsZero() {
			result[name] = at.UTC().Format(time.RFC3339)
		}
	}
	return result
}

func isID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}
