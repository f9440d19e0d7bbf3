package release

import (
	"errors"
	"fmt"
	"path/filepath"
)

// assemble finds the parts of a release in the cache and says where everything is.
func (s *Store) assemble(version, goVersion string) (Artifacts, error) {
	all := parts(version)
	entries := newEntries(all, goVersion)
	artifacts := Artifacts{
		Version:       version,
		Binaries:      map[string]string{},
		NodeImageName: NodeImageName,
		Images:        map[string]string{},
	}
	for _, part := range all {
		entry := entries.name(part.name)
		switch err := s.inspect(entry); {
		case errors.Is(err, ErrDamaged):
			return Artifacts{}, fmt.Errorf("%s is %w", part.title(), err)
		case err != nil:
			return Artifacts{}, fmt.Errorf("%s is not built", part.title())
		}
		artifacts.add(part, s.path("parts", entry))
	}
	return artifacts, nil
}

// add adds what one part contributes.
func (a *Artifacts) add(part part, dir string) {
	switch recipe := part.recipe.(type) {
	case nodeImage:
		a.NodeImage = filepath.Join(dir, rootDir)
	case archives:
		for _, image := range recipe.Images {
			a.ImageArchives = append(a.ImageArchives, filepath.Join(dir, image.archive()))
			a.Images[image.Name] = image.Reference
		}
	case goModule:
		if part.name == partCNI {
			a.CNI = filepath.Join(dir, binDir)
			return
		}
		for _, program := range recipe.Programs {
			for _, name := range program.Names {
				a.Binaries[name] = filepath.Join(dir, binDir, name)
			}
		}
	}
}

// Verify compares every file of a built release with the sum that its manifest has.
func (s *Store) Verify(version string) error {
	resolved, ok := Resolve(version)
	if !ok {
		return fmt.Errorf("verifying Kubernetes %s: it %w", version, ErrUnknownVersion)
	}
	var failure error
	for _, goVersion := range s.goVersions() {
		if failure = s.verify(resolved.Version, goVersion); failure == nil {
			return nil
		}
	}
	return fmt.Errorf("verifying Kubernetes %s: %w", resolved.Version, failure)
}

func (s *Store) verify(version, goVersion string) error {
	all := parts(version)
	entries := newEntries(all, goVersion)
	for _, part := range all {
		dir := s.path("parts", entries.name(part.name))
		manifest, err := readManifest(dir)
		if err != nil {
			return fmt.Errorf("%s is not built: %w", part.title(), err)
		}
		if err := manifest.verify(dir); err != nil {
			return fmt.Errorf("checking %s: %w", dir, err)
		}
	}
	return nil
}
