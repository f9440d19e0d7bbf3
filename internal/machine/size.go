package machine

import "strings"

// Size is what a machine of a vmSize has.
type Size struct {
	// Name is Azure's name of the size.
	Name string
	// CPUs is the number of virtual processors.
	CPUs int
	// MemoryMiB is the memory in MiB.
	MemoryMiB int
}

// DefaultSize is the vmSize that the CLI asks for when none is given, as az does.
const DefaultSize = "Standard_DS2_v2"

// Sizes are the sizes on offer: the usual general-purpose ones of Azure, with
// the figures of its size pages.
func Sizes() []Size {
	return []Size{
		{"Standard_B2s", 2, 4 * 1024},
		{"Standard_B2ms", 2, 8 * 1024},
		{"Standard_B4ms", 4, 16 * 1024},
		{"Standard_DS1_v2", 1, 3584},
		{"Standard_DS2_v2", 2, 7 * 1024},
		{"Standard_DS3_v2", 4, 14 * 1024},
		{"Standard_DS4_v2", 8, 28 * 1024},
		{"Standard_A2_v2", 2, 4 * 1024},
		{"Standard_A4_v2", 4, 8 * 1024},
		{"Standard_F2s_v2", 2, 4 * 1024},
		{"Standard_F4s_v2", 4, 8 * 1024},
		{"Standard_F8s_v2", 8, 16 * 1024},
		{"Standard_D2s_v3", 2, 8 * 1024},
		{"Standard_D4s_v3", 4, 16 * 1024},
		{"Standard_D8s_v3", 8, 32 * 1024},
		{"Standard_D2s_v5", 2, 8 * 1024},
		{"Standard_D4s_v5", 4, 16 * 1024},
		{"Standard_D8s_v5", 8, 32 * 1024},
		{"Standard_E2s_v5", 2, 16 * 1024},
		{"Standard_E4s_v5", 4, 32 * 1024},
	}
}

// SizeByName finds a size; like every name in ARM, regardless of case.
func SizeByName(name string) (Size, bool) {
	for _, size := range Sizes() {
		if strings.EqualFold(size.Name, name) {
			return size, true
		}
	}
	return Size{}, false
}
