package release

import (
	"encoding/json"
	"strings"
	"testing"

	"berth.dev/berth/kubernetes"
)

func TestTheCatalogHasOneDefaultAndIsInOrder(t *testing.T) {
	defaults := 0
	for index, version := range Versions() {
		if version.Default {
			defaults++
		}
		if !strings.HasPrefix(version.Version, version.Minor+".") {
			t.Errorf("%s is no patch of %s", version.Version, version.Minor)
		}
		if index > 0 && Versions()[index-1].Version >= version.Version {
			t.Errorf("%s comes after a newer one", version.Version)
		}
	}
	if defaults != 1 {
		t.Errorf("the catalog has %d defaults, want 1", defaults)
	}
}

func TestAVersionIsFoundByPatchMinorOrNothing(t *testing.T) {
	for name, want := range map[string]string{
		"": "1.35.4", "1.35": "1.35.4", "1.35.4": "1.35.4", "v1.35.4": "1.35.4", "1.36": "1.36.3", "1.36.3": "1.36.3",
		"1.3": "", "1.35.5": "", "1.37": "", "latest": "",
	} {
		found, ok := Resolve(name)
		if found.Version != want || ok != (want != "") {
			t.Errorf("Resolve(%q) = %q, %v, want %q", name, found.Version, ok, want)
		}
	}
}

func TestTheNodeImageIsNamedAfterItsRecipe(t *testing.T) {
	recipe, err := json.Marshal([]any{debianImage(), imageArchives()})
	if err != nil {
		t.Fatal(err)
	}
	want := "BerthDebian-" + debianImage().Release + "." + digest(recipe)[:8]
	if NodeImageName != want {
		t.Errorf("NodeImageName is %s; the recipe makes it %s", NodeImageName, want)
	}
}

func TestEveryPartHasItsSourcesAndNeedsOnlyPartsBeforeIt(t *testing.T) {
	for _, version := range Versions() {
		before := map[string]bool{}
		for _, part := range parts(version.Version) {
			for _, source := range part.recipe.sources() {
				if content, err := kubernetes.Sources.ReadFile(source); err != nil || len(content) == 0 {
					t.Errorf("%s builds from %s: %v", part.title(), source, err)
				}
			}
			for _, need := range part.needs {
				if !before[need] {
					t.Errorf("%s needs %s, which is not built before it", part.title(), need)
				}
			}
			if before[part.name] {
				t.Errorf("two parts are named %s", part.name)
			}
			before[part.name] = true
		}
	}
}

func TestEveryModuleRequiresTheVersionThatItsPartNames(t *testing.T) {
	for _, version := range Versions() {
		for _, part := range parts(version.Version) {
			module, ok := part.recipe.(goModule)
			if !ok {
				continue
			}
			if !strings.HasSuffix(module.Module, "/"+part.version) {
				t.Errorf("%s builds from %s", part.title(), module.Module)
			}
			content, err := kubernetes.Sources.ReadFile(module.Module + ".mod")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(content), " "+part.version) {
				t.Errorf("%s.mod does not require %s", module.Module, part.version)
			}
			for _, program := range module.Programs {
				if program.Package != mainFile && !strings.Contains(string(content), program.Package+"\n") {
					t.Errorf("%s.mod has no tool line for %s", module.Module, program.Package)
				}
			}
		}
	}
}
