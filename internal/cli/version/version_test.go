package version

import "testing"

func TestTheBuildIsShownWithItsToolchain(t *testing.T) {
	if got := describe("v9"); got["berth"] != "v9" || got["go"] == "" || got["platform"] == "" {
		t.Errorf("got %v", got)
	}
}
