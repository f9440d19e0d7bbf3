package main

import (
	"testing"

	"github.com/onsi/ginkgo/v2/types"
)

func reportOf(text string, labels ...string) types.SpecReport {
	return types.SpecReport{LeafNodeText: text, LeafNodeLabels: labels}
}

func TestASpecBelongsToTheSuiteThatItsNameAndLabelsSay(t *testing.T) {
	for _, test := range []struct {
		suite string
		spec  types.SpecReport
		want  bool
		left  bool
	}{
		{suiteConformance, reportOf("[sig-apps] a", "Conformance"), true, false},
		{suiteConformance, reportOf("[sig-network] a"), false, false},
		{suiteNetwork, reportOf("[sig-network] LoadBalancers", "Feature:LoadBalancer"), true, false},
		{suiteNetwork, reportOf("[sig-network] LoadBalancers should be able to create LoadBalancer Service without NodePort and change it"), false, true},
		{suiteNetwork, reportOf("[sig-network] Netpol", "Feature:NetworkPolicy"), false, true},
		{suiteNetwork, reportOf("[sig-apps] a", "Conformance"), false, false},
		{suiteShort, reportOf(short()[0], "Conformance"), true, false},
		{suiteShort, reportOf("[sig-network] DNS should", "Conformance"), false, false},
	} {
		belongs, reason := choose(test.suite, test.spec)
		if belongs != test.want || (reason != "") != test.left {
			t.Errorf("%s of %s: %v, %q", test.spec.FullText(), test.suite, belongs, reason)
		}
	}
	if checkSuite("other") == nil || checkSuite(suiteNetwork) != nil {
		t.Error("the names of suites are not checked")
	}
}
