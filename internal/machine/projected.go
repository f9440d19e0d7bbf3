package machine

import "context"

// Projected is a file that a kubelet keeps in step with an object of its cluster,
// in a volume of a pod.
type Projected struct {
	// PodUID is the pod's metadata.uid, Volume the volume's name.
	PodUID, Volume string
	// Content is that of the file; one that is larger than any such object is not read.
	Content []byte
}

// ProjectedReader is a Provider that can read what the kubelets of its machines keep
// in the volumes of pods.
type ProjectedReader interface {
	// Projected gives each file of such volumes below a kubelet's directory of pods to
	// use, for a machine that runs. Volumes that come and go meanwhile are left out;
	// an error says that some could not be read.
	Projected(ctx context.Context, id, podsDir string, use func(Projected)) error
}
