package upgrade

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// The codes of findings.
const (
	CodeUnsatisfiablePDB = "UnsatisfiablePDB"
	CodeDeprecatedAPI    = "UpgradeBlockedOnDeprecatedAPIUsage"
	CodeVersionSkew      = "NodePoolMcVersionIncompatible"
	CodeCapacity         = "AllocationFailed"
	CodeAddresses        = "InsufficientSubnetSize"
)

// DeprecatedFor is how long the use of a deprecated API blocks an upgrade.
const DeprecatedFor = 12 * time.Hour

// PoolLabel is on every node: the name of its pool.
const PoolLabel = "kubernetes.azure.com/agentpool"

// Finding is something that stands in the way of an upgrade.
type Finding struct {
	// Code is an ARM error code, Target what it is about, Message what it is and what to do.
	Code    string `json:"code"`
	Target  string `json:"target"`
	Message string `json:"message"`
}

// Plan is what an upgrade would change.
type Plan struct {
	// From and To are the versions of the control plane; equal if it stays.
	From, To string
	// Pools are all pools of the cluster, with the versions that their nodes run
	// and shall run.
	Pools []Pool
}

// Pool is one pool of a plan.
type Pool struct {
	Name, From, To string
	// Replaced says that the nodes are replaced although their version stays.
	Replaced bool
}

// Moves says that the pool's nodes would be replaced.
func (p Pool) Moves() bool { return p.Replaced || p.From != p.To }

// Facts are what is known of the cluster.
type Facts struct {
	Now time.Time
	// Deprecated are the deprecated APIs that clients asked for.
	Deprecated []v1alpha1.DeprecatedAPI
	// Nodes, Pods and Budgets are those of the cluster itself; needed if pools move.
	Nodes   []corev1.Node
	Pods    []corev1.Pod
	Budgets []policyv1.PodDisruptionBudget
}

// Preflight finds all that stands in the way of a plan, in a fixed order.
func Preflight(plan Plan, facts Facts) []Finding {
	findings := append(skew(plan), deprecated(plan, facts)...)
	return append(findings, budgets(plan, facts)...)
}

// skew finds pools whose nodes would be too old for the control plane.
func skew(plan Plan) (findings []Finding) {
	for _, pool := range plan.Pools {
		if behind := minors(pool.To, plan.To); behind > maxSkew {
			findings = append(findings, Finding{Code: CodeVersionSkew, Target: pool.Name, Message: fmt.Sprintf(
				"The agent pool '%s' runs Kubernetes %s, which is %d minors behind %s; at most %d are allowed. Upgrade the pool first.",
				pool.Name, pool.To, behind, plan.To, maxSkew)})
		}
	}
	return findings
}

// deprecated finds APIs in use that the new minor lacks.
func deprecated(plan Plan, facts Facts) (findings []Finding) {
	if minors(plan.From, plan.To) < 1 {
		return nil
	}
	for _, api := range facts.Deprecated {
		if facts.Now.Sub(api.LastUsed.Time) > DeprecatedFor || Less(plan.To, api.RemovedRelease+".0") || !Less(plan.From, api.RemovedRelease+".0") {
			continue
		}
		findings = append(findings, Finding{Code: CodeDeprecatedAPI, Target: api.Resource, Message: fmt.Sprintf(
			"The API %s is not in Kubernetes %s, and '%s' (%s) used it last at %s. Move it to a newer API and repeat the upgrade %d hours after the last use, or set upgradeSettings.overrideSettings.forceUpgrade with until.",
			api.Resource, api.RemovedRelease, api.User, api.UserAgent, api.LastUsed.UTC().Format(time.RFC3339), int(DeprecatedFor.Hours()))})
	}
	return findings
}

// budgets finds those that allow no disruption and have pods on nodes that
// would be replaced.
func budgets(plan Plan, facts Facts) (findings []Finding) {
	moving := map[string]string{}
	for _, node := range facts.Nodes {
		if slices.ContainsFunc(plan.Pools, func(p Pool) bool { return p.Moves() && p.Name == node.Labels[PoolLabel] }) {
			moving[node.Name] = node.Labels[PoolLabel]
		}
	}
	for i := range facts.Budgets {
		budget := &facts.Budgets[i]
		if budget.Status.DisruptionsAllowed > 0 || budget.Status.ObservedGeneration < budget.Generation {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil {
			continue // the API server does not accept one
		}
		if pod := covered(facts.Pods, budget.Namespace, selector, moving); pod != nil {
			findings = append(findings, Finding{
				Code: CodeUnsatisfiablePDB, Target: budget.Namespace + "/" + budget.Name, Message: fmt.Sprintf(
					"The PodDisruptionBudget '%s/%s' allows no disruption now (%d of %d pods are healthy, %d are needed), so the pod '%s' on node '%s' of the agent pool '%s' cannot be evicted. Relax the budget or run more replicas, or set upgradeSettings.overrideSettings.forceUpgrade with until.",
					budget.Namespace, budget.Name, budget.Status.CurrentHealthy, budget.Status.ExpectedPods, budget.Status.DesiredHealthy,
					pod.Name, pod.Spec.NodeName, moving[pod.Spec.NodeName]),
			})
		}
	}
	slices.SortFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Target, b.Target) })
	return findings
}

// covered is a pod that a budget keeps on a node that would be replaced.
func covered(pods []corev1.Pod, namespace string, selector labels.Selector, moving map[string]string) *corev1.Pod {
	for i := range pods {
		pod := &pods[i]
		done := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.DeletionTimestamp != nil
		if !done && pod.Namespace == namespace && moving[pod.Spec.NodeName] != "" && selector.Matches(labels.Set(pod.Labels)) {
			return pod
		}
	}
	return nil
}
