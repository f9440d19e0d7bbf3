package prober

import (
	"context"
	"testing"

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/supervise"
)

func TestTheProcessIsToldWhoseRoutersItSees(t *testing.T) {
	p := New(Options{Home: home.Home{Dir: "/srv/berth", Instance: "abcd"}, Supervisor: "/bin/supervisor", Program: "/bin/prober"})
	components := p.components()
	if err := (supervise.Spec{Components: components}).Validate(); err != nil {
		t.Fatal(err)
	}
	want := []string{"/bin/prober", "-instance", "abcd", "/srv/berth/balancers"}
	for i, word := range want {
		if components[0].Command[i] != word {
			t.Errorf("it runs %v, want %v", components[0].Command, want)
		}
	}
}

func TestWhatNeverRanNeedsNoStop(t *testing.T) {
	if err := New(Options{Home: home.Home{Dir: t.TempDir(), Instance: "abcd"}}).Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}
