// Package runcommand answers runCommand and commandResults of managed
// clusters: it stores a ClusterCommand and reads what the controller of
// commands made of it. It runs nothing itself, and does not reach the cluster.
package runcommand

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/command"
)

// Handlers answer the two routes.
type Handlers struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// Cluster finds the cluster of a request's path, Ready says why nothing can
	// run in it now, Disabled that its owner does not want commands.
	Cluster  func(r *arm.Request) (*v1alpha1.ManagedCluster, error)
	Ready    func(cluster *v1alpha1.ManagedCluster) error
	Disabled func(cluster *v1alpha1.ManagedCluster) bool
	// Now is the clock.
	Now func() time.Time
}

// request is the body of runCommand.
type request struct {
	Command      string `json:"command"`
	Context      string `json:"context"`
	ClusterToken string `json:"clusterToken"`
}

// Start accepts a command: one object write, after which nothing else has to happen.
func (h *Handlers) Start(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := h.Cluster(r)
	if err != nil {
		return err
	}
	if err := r.ReadBody(w); err != nil {
		return err
	}
	payload, err := readPayload(r)
	if err != nil {
		return err
	}
	if h.Disabled(cluster) {
		return arm.NewError(http.StatusBadRequest, "RunCommandDisabled",
			"Commands are disabled in the managed cluster '%s'. Set properties.apiServerAccessProfile.disableRunCommand to false to allow them.", cluster.Spec.Name)
	}
	if err := h.Ready(cluster); err != nil {
		return err
	}
	if err := h.admit(r.Context(), cluster); err != nil {
		return err
	}
	now := metav1.NewTime(h.Now())
	started := &v1alpha1.ClusterCommand{
		ObjectMeta: metav1.ObjectMeta{
			Name:   strings.ReplaceAll(uuid.NewString(), "-", ""), // clients look for an id of word characters
			Labels: map[string]string{v1alpha1.CommandClusterLabel: cluster.Name},
		},
		Spec: v1alpha1.ClusterCommandSpec{
			ClusterName: cluster.Name, Incarnation: cluster.Spec.Incarnation, Payload: payload, Caller: r.Principal.ObjectID,
			StartTime: now, Deadline: metav1.NewTime(now.Add(command.Timeout)),
		},
	}
	if err := h.Client.Create(r.Context(), started); err != nil {
		return err
	}
	path := r.URL.EscapedPath()
	arm.Async{Result: path[:strings.LastIndexByte(path, '/')] + "/commandResults/" + started.Name + "?api-version=" + r.APIVersion}.Set(w, r)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// readPayload reads and checks the body.
func readPayload(r *arm.Request) (*v1alpha1.CommandPayload, error) {
	schema, err := arm.NewSchema([]arm.Property{
		{Path: "command", Kind: arm.String}, {Path: "context", Kind: arm.String},
		{Path: "clusterToken", Kind: arm.String, Use: arm.Refused, Note: "logins with directory accounts are not built"},
	})
	if err != nil {
		return nil, err
	}
	fields := &arm.FieldErrors{}
	body, err := schema.Read(r.Body, fields)
	if err != nil {
		return nil, err
	}
	if fields.Malformed() {
		return nil, fields.Err()
	}
	var read request
	if err := body.Decode(&read); err != nil {
		return nil, err
	}
	payload := &v1alpha1.CommandPayload{Command: read.Command}
	switch {
	case strings.TrimSpace(read.Command) == "":
		fields.Invalid(body.Path("command"), "The command is empty; it is a line for a shell, such as 'kubectl get pods -A'.")
	case len(read.Command) > command.MaxLine:
		fields.Invalid(body.Path("command"), "The command has %d bytes; at most %d are allowed. Attach a script in 'context'.", len(read.Command), command.MaxLine)
	}
	if read.Context != "" {
		payload.Files, err = readFiles(read.Context, body.Path("context"), fields)
		if err != nil {
			return nil, err
		}
	}
	return payload, fields.Err()
}

// readFiles decodes the attached files; what is wrong with them goes into fields.
func readFiles(encoded, path string, fields *arm.FieldErrors) ([]byte, error) {
	zipped, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		fields.Invalid(path, "The attached files are not in base64: %v.", err)
		return nil, nil
	}
	files, err := command.Repack(zipped)
	if errors.Is(err, command.ErrAttachment) {
		fields.Invalid(path, "The context has to be a zip file in base64: %v.", err)
		return nil, nil
	}
	return files, err
}

// admit bounds how much one cluster's callers can start.
func (h *Handlers) admit(ctx context.Context, cluster *v1alpha1.ManagedCluster) error {
	var list v1alpha1.ClusterCommandList
	if err := h.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.CommandClusterLabel: cluster.Name}); err != nil {
		return err
	}
	running := 0
	for i := range list.Items {
		if !list.Items[i].Finished() {
			running++
		}
	}
	if running < command.MaxRunning {
		return nil
	}
	return arm.NewError(http.StatusTooManyRequests, "TooManyCommands",
		"%d commands run in the managed cluster '%s'; that is the limit. Repeat the request when one has ended.", running, cluster.Spec.Name).
		With("Retry-After", "5")
}
