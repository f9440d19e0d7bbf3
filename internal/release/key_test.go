package release

import (
	"strings"
	"testing"
)

func TestAKeyChangesWithEverythingThatGoesIntoAPart(t *testing.T) {
	plain := goModule{Module: "etcd/v3.6.8", Programs: []program{{"example.org/x", []string{"x"}}}}
	name := func(recipe goModule, version, toolchain string) string {
		return newEntries([]part{{name: "x", version: version, recipe: recipe}}, toolchain).name("x")
	}
	original := name(plain, "v1", "go1.26.1")
	if again := name(plain, "v1", "go1.26.1"); again != original {
		t.Errorf("the same inputs gave %s and %s", original, again)
	}
	flags, tags, cgo, sources, programs := plain, plain, plain, plain, plain
	flags.LDFlags, tags.Tags, cgo.CGO, sources.Module = "-X a=b", "seccomp", true, "runc/v1.5.2"
	programs.Programs = []program{{"example.org/x", []string{"y"}}}
	for what, changed := range map[string]string{
		"linker flags": name(flags, "v1", "go1.26.1"), "tags": name(tags, "v1", "go1.26.1"), "cgo": name(cgo, "v1", "go1.26.1"),
		"sources": name(sources, "v1", "go1.26.1"), "names": name(programs, "v1", "go1.26.1"),
		"version": name(plain, "v2", "go1.26.1"), "toolchain": name(plain, "v1", "go1.26.2"),
	} {
		if changed == original {
			t.Errorf("other %s, same key %s", what, changed)
		}
	}
}

func TestAKeyChangesWithThePartsBelow(t *testing.T) {
	top := part{name: "top", needs: []string{"base"}, recipe: fakeRecipe{}}
	one := newEntries([]part{{name: "base", recipe: fakeRecipe{Input: "1"}}, top}, "go1").name("top")
	two := newEntries([]part{{name: "base", recipe: fakeRecipe{Input: "2"}}, top}, "go1").name("top")
	if one == two {
		t.Errorf("both are %s", one)
	}
}

func TestReleasesShareAllPartsButKubernetes(t *testing.T) {
	older, newer := newEntries(parts("1.35.4"), "go1"), newEntries(parts("1.36.3"), "go1")
	for name, entry := range older.names {
		if same := newer.name(name) == entry; same != (name != "kubernetes") {
			t.Errorf("%s and %s", entry, newer.name(name))
		}
		if usesGo := strings.HasSuffix(entry, "-go1"); name == partNodeImage && usesGo {
			t.Errorf("%s does not depend on Go", entry)
		}
	}
}
