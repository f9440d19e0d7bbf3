package command

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/tenant"
)

const (
	namePrefix     = "command-"
	containerName  = "command"
	serviceAccount = "command"
	memoryLimit    = "512Mi"
	// kubectlPath is where every machine has kubectl, of the node's own version.
	kubectlPath = "/opt/berth/bin/kubectl"
	// inputDir has the command, its kubeconfig and its files; workDir is where it starts.
	inputDir = "/berth/input"
	workDir  = "/command-files"
)

// The keys of the Secret with a command's input.
const (
	keyCommand    = "command"
	keyKubeconfig = "kubeconfig"
	keyFiles      = "files.tgz"
)

// start unpacks the files and becomes the command. The command is a file, so
// that neither Kubernetes nor a shell reads anything into it.
const start = `cd ` + workDir + ` || exit 1
if [ -f ` + inputDir + `/` + keyFiles + ` ]; then tar -xzf ` + inputDir + `/` + keyFiles + ` || exit 1; fi
exec /bin/sh ` + inputDir + `/` + keyCommand

// nameOf is the name of what belongs to a command in its cluster, idOf the
// command of such a name.
func nameOf(c *v1alpha1.ClusterCommand) string { return namePrefix + c.Name }

func idOf(name string) (string, bool) { return strings.CutPrefix(name, namePrefix) }

// objects are what the command needs in the cluster, in the order to make them.
func (c *Controller) objects(ctx context.Context, s *scope) ([]client.Object, error) {
	artifacts, built := c.Releases.Lookup(s.cluster.Spec.KubernetesVersion)
	image := artifacts.Images["client"]
	if !built || image == "" {
		return nil, fmt.Errorf("the release %s has no client image", s.cluster.Spec.KubernetesVersion)
	}
	kubeconfig, err := c.kubeconfig(ctx, s)
	if err != nil {
		return nil, err
	}
	payload := s.command.Spec.Payload
	input := map[string][]byte{keyCommand: []byte(payload.Command + "\n"), keyKubeconfig: kubeconfig}
	if len(payload.Files) > 0 {
		input[keyFiles] = payload.Files
	}
	meta := metav1.ObjectMeta{Namespace: tenant.CommandNamespace, Name: nameOf(s.command), Labels: map[string]string{
		"app.kubernetes.io/managed-by": "berth", "app.kubernetes.io/component": "command",
	}}
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant.CommandNamespace, Labels: map[string]string{
			"app.kubernetes.io/managed-by": "berth", "pod-security.kubernetes.io/enforce": "privileged", // for kubectl, which the node has
		}}},
		&corev1.ServiceAccount{
			ObjectMeta:                   metav1.ObjectMeta{Namespace: tenant.CommandNamespace, Name: serviceAccount},
			AutomountServiceAccountToken: ptr.To(false),
		},
		&corev1.Secret{ObjectMeta: meta, Immutable: ptr.To(true), Data: input},
		&corev1.Pod{ObjectMeta: meta, Spec: podSpec(s, image)},
	}, nil
}

// kubeconfig makes the command the cluster's administrator until its deadline.
// Its name in the cluster's audit log is that of the caller.
func (c *Controller) kubeconfig(ctx context.Context, s *scope) ([]byte, error) {
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: naming.SystemNamespace, Name: naming.Credentials(s.command.Spec.Incarnation)}
	if err := c.Client.Get(ctx, key, &secret); err != nil {
		return nil, fmt.Errorf("reading the credentials of the cluster: %w", err)
	}
	authority, err := pki.ParseAuthority(secret.Data[pki.UserCACert], secret.Data[pki.UserCAKey])
	if err != nil {
		return nil, fmt.Errorf("reading the user CA of the cluster: %w", err)
	}
	certificate, private, err := authority.Issue(pki.Leaf{
		CommonName: "berth:command:" + s.command.Spec.Caller, Organizations: []string{"system:masters"}, Client: true,
		Validity: s.command.Spec.Deadline.Add(grace).Sub(s.now),
	}, s.now)
	if err != nil {
		return nil, fmt.Errorf("issuing the certificate of the command: %w", err)
	}
	services, err := netip.ParsePrefix(s.cluster.Spec.Network.ServiceCIDR)
	if err != nil {
		return nil, fmt.Errorf("reading the range of services: %w", err)
	}
	// The address and not the name: a command may be there to look at a broken DNS.
	return pki.Kubeconfig(pki.KubeconfigOptions{
		Cluster: s.cluster.Spec.Name, User: "command", Server: "https://" + netip.AddrPortFrom(services.Masked().Addr().Next(), 443).String(),
		CA: secret.Data[pki.ClusterCACert], ClientCert: certificate, ClientKey: private,
	})
}

// podSpec is the pod of a command. It runs once, as root without capabilities.
func podSpec(s *scope, image string) corev1.PodSpec {
	left := max(s.command.Spec.Deadline.Sub(s.now), time.Second)
	return corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: serviceAccount, AutomountServiceAccountToken: ptr.To(false),
		ActiveDeadlineSeconds: ptr.To(int64(left.Seconds())), TerminationGracePeriodSeconds: ptr.To(int64(2)), EnableServiceLinks: ptr.To(false),
		NodeSelector: map[string]string{corev1.LabelOSStable: "linux"},
		Tolerations:  []corev1.Toleration{{Key: "CriticalAddonsOnly", Operator: corev1.TolerationOpExists}},
		Containers: []corev1.Container{{
			Name: containerName, Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"/bin/sh", "-c", start},
			Env: []corev1.EnvVar{{Name: "KUBECONFIG", Value: inputDir + "/" + keyKubeconfig}, {Name: "HOME", Value: "/tmp"}},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memoryLimit)},
			},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "input", MountPath: inputDir, ReadOnly: true}, {Name: "work", MountPath: workDir},
				{Name: "kubectl", MountPath: "/usr/local/bin/kubectl", ReadOnly: true},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		}},
		Volumes: []corev1.Volume{
			{Name: "input", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: nameOf(s.command), DefaultMode: ptr.To(int32(0o400))}}},
			{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(resource.MustParse("1Gi"))}}},
			{Name: "kubectl", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: kubectlPath, Type: ptr.To(corev1.HostPathFile)}}},
		},
	}
}
