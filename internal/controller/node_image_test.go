package controller_test

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/nodeimage"
)

// images is the resource provider, which renews nodes.
func (w *world) images(c client.Client) nodeimage.Runner {
	w.t.Helper()
	provider, is := w.upgrades(c).(nodeimage.Runner)
	if !is {
		w.t.Fatal("the resource provider renews no nodes")
	}
	return provider
}

// renewing is a cluster of two pools whose nodes are to be renewed by themselves.
func renewing(t *testing.T, configurations ...containerservicev1.MaintenanceConfigurationSpec) *world {
	t.Helper()
	w := newWorld(t)
	w.hostReports()
	w.put("demo", 2)
	w.live()
	w.addPool("extra")
	w.live()
	for _, spec := range configurations {
		w.plan(spec)
	}
	cluster := w.cluster("demo")
	cluster.Spec.NodeOSUpgradeChannel = containerservicev1.NodeOSChannelNodeImage
	must(t, w.api.Update(context.Background(), cluster))
	w.live()
	return w
}

// imagesAre asserts the node images of all machines.
func (w *world) imagesAre(want string) {
	w.t.Helper()
	for _, machine := range w.machines() {
		if machine.Status.NodeImage != want {
			w.t.Errorf("the machine %s has the image %s, want %s", machine.Name, machine.Status.NodeImage, want)
		}
	}
}

// tells asserts what the status says of node images.
func (w *world) tells(done bool, piece string) {
	w.t.Helper()
	status := w.cluster("demo").Status.NodeImageUpgrade
	if status == nil || status.Done != done || !strings.Contains(status.Message, piece) {
		w.t.Errorf("the status is %+v, want %t with %q", status, done, piece)
	}
}

// renewals are the pools whose nodes were renewed by themselves, in order of their names.
func (w *world) renewals() []string {
	w.t.Helper()
	scopes := []string{}
	for _, record := range w.history.records {
		if record.Caller != "node-image" {
			continue
		}
		if record.Verb != meta.VerbUpgradeNodeImage || record.Status != meta.OperationSucceeded {
			w.t.Errorf("the renewal ended %s %s: %+v", record.Verb, record.Status, record.Failure)
		}
		scopes = append(scopes, path.Base(record.ResourceID))
	}
	slices.Sort(scopes)
	return scopes
}

func TestNodesOfAnOlderImageAreRenewedInTheirWindow(t *testing.T) {
	w := renewing(t, saturdays(containerservicev1.MaintenanceNodeOS))
	w.tells(true, "all nodes have the node image BerthDebian-12")
	w.nodeImage = "BerthDebian-13"
	w.comes("2026-11-21T21:59:00Z")
	w.imagesAre("BerthDebian-12")
	w.tells(false, "from 2026-11-21T22:00:00Z to 2026-11-22T02:00:00Z")
	w.comes("2026-11-21T22:00:30Z")
	w.imagesAre("BerthDebian-13")
	w.tells(true, "all nodes have the node image BerthDebian-13")
	if got := w.renewals(); !slices.Equal(got, []string{"extra", "nodepool1"}) {
		t.Errorf("renewed were %v", got)
	}
}

func TestNodeImagesKeepToNoOtherWindow(t *testing.T) {
	w := renewing(t, saturdays(containerservicev1.MaintenanceAutoUpgrade), saturdays(containerservicev1.MaintenanceDefault))
	w.nodeImage = "BerthDebian-13"
	w.comes("2026-11-21T09:00:00Z")
	w.imagesAre("BerthDebian-13")
}

func TestNodesAreNotRenewedUnaskedOrWhileTheClusterIsStopped(t *testing.T) {
	w := renewing(t)
	cluster := w.cluster("demo")
	cluster.Spec.NodeOSUpgradeChannel = containerservicev1.NodeOSChannelNone
	must(t, w.api.Update(context.Background(), cluster))
	w.nodeImage = "BerthDebian-13"
	w.comes("2026-11-21T09:00:00Z")
	w.imagesAre("BerthDebian-12")
	if status := w.cluster("demo").Status.NodeImageUpgrade; status != nil {
		t.Errorf("the status is %+v", status)
	}
	w.power("off", meta.VerbStop)
	w.live()
	cluster = w.cluster("demo")
	cluster.Spec.NodeOSUpgradeChannel = containerservicev1.NodeOSChannelNodeImage
	must(t, w.api.Update(context.Background(), cluster))
	w.comes("2026-11-21T10:00:00Z")
	w.tells(false, "the cluster is stopped")
	w.power("on", meta.VerbStart)
	w.live()
	w.imagesAre("BerthDebian-13")
}
