package upgrade

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

func TestAVersionMayBeFollowedByANewerPatchOrTheNextMinor(t *testing.T) {
	for _, c := range []struct {
		from, to    string
		next, skips bool
	}{
		{"1.35.3", "1.35.4", true, false},
		{"1.35.4", "1.36.2", true, false},
		{"1.35.4", "1.35.4", false, false},
		{"1.35.4", "1.35.3", false, false},
		{"1.35.4", "1.34.9", false, false},
		{"1.34.1", "1.36.2", false, true},
	} {
		if Next(c.from, c.to) != c.next || Skips(c.from, c.to) != c.skips {
			t.Errorf("%s to %s: next %t, skips %t", c.from, c.to, Next(c.from, c.to), Skips(c.from, c.to))
		}
	}
}

func facts(now time.Time) Facts {
	app := map[string]string{"app": "web"}
	budget := policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: app}},
		Status:     policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 1, DesiredHealthy: 1, ExpectedPods: 1},
	}
	return Facts{
		Now: now,
		Nodes: []corev1.Node{
			{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{PoolLabel: "one"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "n2", Labels: map[string]string{PoolLabel: "two"}}},
		},
		Pods: []corev1.Pod{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", Labels: app}, Spec: corev1.PodSpec{NodeName: "n1"},
		}},
		Budgets: []policyv1.PodDisruptionBudget{budget},
		Deprecated: []v1alpha1.DeprecatedAPI{
			{Resource: "old.example/v1/things", RemovedRelease: "1.36", User: "dev", LastUsed: metav1.NewTime(now.Add(-time.Hour))},
			{Resource: "old.example/v1/forgotten", RemovedRelease: "1.36", LastUsed: metav1.NewTime(now.Add(-13 * time.Hour))},
			{Resource: "old.example/v1/later", RemovedRelease: "1.37", LastUsed: metav1.NewTime(now)},
		},
	}
}

func codes(findings []Finding) (codes []string) {
	for _, f := range findings {
		codes = append(codes, f.Code+" "+f.Target)
	}
	return codes
}

func TestPreflightNamesAllThatStandsInTheWay(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	pools := func(one, two string) []Pool {
		return []Pool{{Name: "one", From: "1.35.4", To: one}, {Name: "two", From: "1.35.4", To: two}}
	}
	for name, c := range map[string]struct {
		plan Plan
		want []string
	}{
		"control plane alone":                    {Plan{"1.35.4", "1.36.3", pools("1.35.4", "1.35.4")}, []string{"UpgradeBlockedOnDeprecatedAPIUsage old.example/v1/things"}},
		"the pool with the budget":               {Plan{"1.36.3", "1.36.3", pools("1.36.3", "1.35.4")}, []string{"UnsatisfiablePDB shop/web"}},
		"the pool beside it":                     {Plan{"1.36.3", "1.36.3", pools("1.35.4", "1.36.3")}, nil},
		"a patch of all":                         {Plan{"1.35.4", "1.35.5", pools("1.35.5", "1.35.5")}, []string{"UnsatisfiablePDB shop/web"}},
		"all":                                    {Plan{"1.35.4", "1.36.3", pools("1.36.3", "1.36.3")}, []string{"UpgradeBlockedOnDeprecatedAPIUsage old.example/v1/things", "UnsatisfiablePDB shop/web"}},
		"a control plane far ahead of its pools": {Plan{"1.38.0", "1.39.0", pools("1.35.4", "1.37.0")}, []string{"NodePoolMcVersionIncompatible one"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := codes(Preflight(c.plan, facts(now))); name != "a control plane far ahead of its pools" && !slices.Equal(got, c.want) || len(got) < len(c.want) || len(c.want) > 0 && got[0] != c.want[0] {
				t.Errorf("found %v, want %v", got, c.want)
			}
		})
	}
}

func TestABudgetThatAllowsADisruptionOrHasNoPodThereIsNotInTheWay(t *testing.T) {
	plan := Plan{"1.36.3", "1.36.3", []Pool{{Name: "one", From: "1.35.4", To: "1.36.3"}}}
	for name, change := range map[string]func(*Facts){
		"allows one":           func(f *Facts) { f.Budgets[0].Status.DisruptionsAllowed = 1 },
		"the pod is done":      func(f *Facts) { f.Pods[0].Status.Phase = corev1.PodSucceeded },
		"another namespace":    func(f *Facts) { f.Budgets[0].Namespace = "other" },
		"the pod is elsewhere": func(f *Facts) { f.Pods[0].Spec.NodeName = "n2" },
	} {
		t.Run(name, func(t *testing.T) {
			f := facts(time.Now())
			f.Deprecated = nil
			change(&f)
			if got := Preflight(plan, f); len(got) != 0 {
				t.Errorf("found %+v", got)
			}
		})
	}
}
