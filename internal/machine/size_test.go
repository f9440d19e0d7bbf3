package machine

import "testing"

func TestEverySizeIsFoundByItsNameInAnyCase(t *testing.T) {
	seen := map[string]bool{}
	for _, size := range Sizes() {
		if seen[size.Name] || size.CPUs < 1 || size.MemoryMiB < 1024 {
			t.Errorf("size %+v is listed twice or has no size", size)
		}
		seen[size.Name] = true
	}
	if size, found := SizeByName("STANDARD_ds2_V2"); !found || size.CPUs != 2 || size.MemoryMiB != 7168 {
		t.Errorf("found %+v, %v", size, found)
	}
	if _, found := SizeByName(DefaultSize); !found {
		t.Error("the default size is not on offer")
	}
	if _, found := SizeByName("Standard_None"); found {
		t.Error("found a size that does not exist")
	}
}
