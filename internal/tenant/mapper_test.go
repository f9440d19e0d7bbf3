package tenant

import (
	"testing"

	"berth.dev/berth/internal/addon"
)

func TestEveryKindOfTheAddOnsIsKnownWithoutAskingTheCluster(t *testing.T) {
	objects, err := addon.Render(addon.Values{
		APIServerAddress: "198.18.0.16", DNSServiceIP: "10.0.0.10", CoreDNSImage: "coredns", CoreDNSReplicas: 1, MetricsServerImage: "metrics-server",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range append(objects, addon.NodeNames(nil)) {
		kind := object.GroupVersionKind()
		if _, err := Mapper().RESTMapping(kind.GroupKind(), kind.Version); err != nil {
			t.Errorf("%s %s: %v", kind, object.GetName(), err)
		}
	}
}
