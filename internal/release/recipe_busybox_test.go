package release

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBusyboxIsConfiguredStaticAndWithoutWhatIsTurnedOff(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".config")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("# CONFIG_STATIC is not set\nCONFIG_TC=y\nCONFIG_TCPSVD=y\n")
	recipe := busybox{Version: "1.0", Without: []string{"TC"}}
	if err := recipe.configure(file); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "CONFIG_STATIC=y\n# CONFIG_TC is not set\nCONFIG_TCPSVD=y\n" {
		t.Errorf("configured %q", got)
	}
	write("CONFIG_TC=y\n")
	if err := recipe.configure(file); err == nil || !strings.Contains(err.Error(), "CONFIG_STATIC") {
		t.Errorf("a setting that is not there: %v", err)
	}
}
