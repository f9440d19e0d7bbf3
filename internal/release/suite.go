package release

import (
	"context"
	"fmt"
	"path/filepath"
)

// Suite is upstream's end-to-end tests of one version, built and ready to run.
type Suite struct {
	// Version is the Kubernetes version without the v.
	Version string
	// Key is a digest of what the tests were built from.
	Key string
	// Tests is the program e2e.test.
	Tests string
	// Images is the OCI archive of the images that its pods run.
	Images string
	// Loader is the program that loads an archive into a node's container runtime: ctr.
	Loader string
}

// Parts of a suite.
const (
	partSuite = "conformance"
	// partSuitePrograms are what only some images hold: apart from the tests, which take many minutes to compile.
	partSuitePrograms = "conformance-programs"
	partSample        = "sample"
	partSuiteRoot     = "conformance-root"
	partBusybox       = "busybox"
	partSuiteImages   = "conformance-images"
)

// HasSuite tells whether the tests of a version can be built.
func HasSuite(version string) bool {
	_, err := readSource(suiteModule(version) + ".mod")
	return err == nil
}

func suiteModule(version string) string { return "conformance/v" + version }

// BuildSuite makes a version and its tests complete, as Build does a version.
func (s *Store) BuildSuite(ctx context.Context, version string, tell func(Progress)) (Suite, error) {
	if !HasSuite(version) {
		return Suite{}, fmt.Errorf("building the tests of Kubernetes %s: no module pins them: add it to hack/update-releases.sh", version)
	}
	release, err := s.Build(ctx, version, tell)
	if err != nil {
		return Suite{}, err
	}
	tools, err := s.toolchain(ctx)
	if err != nil {
		return Suite{}, err
	}
	all := append(parts(version), suiteParts(version)...)
	if err := s.buildParts(ctx, all, tools, tell); err != nil {
		return Suite{}, fmt.Errorf("building the tests of Kubernetes %s: %w", version, err)
	}
	return s.suite(release, newEntries(all, tools.version)), nil
}

// LookupSuite returns a version's tests if they are built, down to the last
// part: compiling them takes as long as compiling Kubernetes itself.
func (s *Store) LookupSuite(version string) (Suite, bool) {
	release, built := s.Lookup(version)
	if !built || !HasSuite(version) {
		return Suite{}, false
	}
	all := append(parts(version), suiteParts(version)...)
	for _, goVersion := range s.goVersions() {
		entries := newEntries(all, goVersion)
		if s.present(entries.name(partSuite)) && s.present(entries.name(partSuiteImages)) {
			return s.suite(release, entries), true
		}
	}
	return Suite{}, false
}

// suite is what the entries of a version's tests hold.
func (s *Store) suite(release Artifacts, entries entries) Suite {
	return Suite{
		Version: release.Version,
		Key:     entries.name(partSuiteImages),
		Images:  filepath.Join(s.path("parts", entries.name(partSuiteImages)), testImagesArchive),
		Tests:   filepath.Join(s.path("parts", entries.name(partSuite)), binDir, testsProgram),
		Loader:  release.Binaries["ctr"],
	}
}

// suiteParts follow those of the version, from which they take programs.
func suiteParts(version string) []part {
	return []part{
		{name: partSuite, version: "v" + version, recipe: testSuite{
			Module:   suiteModule(version),
			Tests:    "k8s.io/kubernetes/test/e2e",
			Programs: []string{"k8s.io/kubernetes/test/images/agnhost", "k8s.io/kubernetes/test/images/nonewprivs"},
			Files:    []string{"test/images/agnhost/porter", "test/images/kitten/html", "test/images/nautilus/html"},
			LDFlags:  stamps(version),
		}},
		{name: partSuitePrograms, version: "v" + version, recipe: goModule{Module: suiteModule(version), Programs: []program{
			{"k8s.io/kubernetes/test/images/regression-issue-74839", []string{"regression-issue-74839"}},
		}}},
		{name: partSample, version: "v0.29.2", recipe: goModule{
			Module: "sample/v0.29.2", Programs: []program{{"k8s.io/sample-apiserver", []string{"sample-apiserver"}}},
		}},
		{name: partSuiteRoot, recipe: nodeImage{
			Release: "202611",
			Include: []string{"bash", "bind9-dnsutils", "conntrack", "curl", "iperf", "iproute2", "netcat-openbsd", "nginx-light", "procps", "wget"},
			Exclude: debianImage().Exclude,
		}},
		{name: partBusybox, version: "v1.37.0", recipe: busybox{
			Version: "1.37.0", SHA256: "3311dff32e746499f4df0d5df04d7eb396382d7e108bb9250e7b519b837043a4",
			Without: []string{"TC"}, // which needs headers of a kernel before 6.8
		}},
		{name: partSuiteImages, version: "v" + version, recipe: testImages{Revision: 9}, needs: []string{
			partSuite, partSuitePrograms, partCoreDNS, partSample, partSuiteRoot, partEtcd, partPause, partBusybox,
		}},
	}
}
