package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// keyFormat changes when a builder changes such that an unchanged recipe builds
// something else.
const keyFormat = 1

// keyLength is how much of a digest a name carries: 64 bits.
const keyLength = 16

// entries computes the names under which the parts of a release lie in the cache.
type entries struct {
	goVersion string
	names     map[string]string
}

// newEntries names all parts; each may depend on those before it.
func newEntries(parts []part, goVersion string) entries {
	named := entries{goVersion: goVersion, names: map[string]string{}}
	for _, part := range parts {
		named.names[part.name] = named.compute(part)
	}
	return named
}

// name is NAME-VERSION-KEY, with the toolchain at the end where one was used.
func (e entries) name(part string) string { return e.names[part] }

func (e entries) compute(p part) string {
	elements := []string{p.name}
	if p.version != "" {
		elements = append(elements, p.version)
	}
	elements = append(elements, e.key(p)[:keyLength])
	if p.recipe.usesGo() {
		elements = append(elements, e.goVersion)
	}
	return strings.Join(elements, "-")
}

// key is the digest of all that the part is built from.
func (e entries) key(p part) string {
	inputs := struct {
		Format   int
		Platform string
		Name     string
		Version  string
		Kind     string
		Recipe   any
		Sources  map[string]string
		Needs    map[string]string
	}{
		Format: keyFormat, Platform: platform(),
		Name: p.name, Version: p.version, Kind: fmt.Sprintf("%T", p.recipe), Recipe: p.recipe,
		Sources: map[string]string{}, Needs: map[string]string{},
	}
	for _, source := range p.recipe.sources() {
		content, err := readSource(source)
		if err != nil {
			content = []byte(err.Error()) // a build of it says so
		}
		inputs.Sources[source] = digest(content)
	}
	for _, need := range p.needs {
		inputs.Needs[need] = e.names[need]
	}
	encoded, err := json.Marshal(inputs)
	if err != nil {
		panic(fmt.Sprintf("encoding the recipe of %s: %v", p.name, err)) // recipes are plain data
	}
	return digest(encoded)
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
