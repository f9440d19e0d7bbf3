package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"berth.dev/berth/internal/release"
)

// raw runs the scripts of bench/raw.
type raw struct {
	dir       string
	artifacts release.Artifacts
}

// figure is what a script prints.
type figure struct {
	ReadyMS int     `json:"ready_ms"`
	CPU     float64 `json:"cpu_s"`
	seconds float64
}

// artifacts are those of the default release, which must be built.
func artifacts() (release.Artifacts, error) {
	store, err := release.Open(release.Options{})
	if err != nil {
		return release.Artifacts{}, err
	}
	version, _ := release.Resolve("")
	built, found := store.Lookup(version.Version)
	if !found {
		return release.Artifacts{}, fmt.Errorf("release %s is not built: run bin/berth release build", version.Version)
	}
	return built, nil
}

func (r raw) controlPlane(ctx context.Context) (figure, error) {
	return r.script(ctx, "control-plane.sh")
}

func (r raw) node(ctx context.Context) (figure, error) {
	return r.script(ctx, "node.sh",
		"BIN="+filepath.Dir(r.artifacts.Binaries["containerd"]), "CNI="+r.artifacts.CNI, "IMAGE="+r.artifacts.NodeImage,
		"RUNC="+r.artifacts.Binaries["runc"], "PAUSE="+r.artifacts.Images["pause"], "ARCHIVE="+r.artifacts.ImageArchives[0])
}

func (r raw) script(ctx context.Context, name string, environment ...string) (figure, error) {
	if err := os.RemoveAll(r.dir); err != nil {
		return figure{}, err
	}
	command := exec.CommandContext(ctx, "bash", filepath.Join("bench", "raw", name))
	command.Env = append(os.Environ(), append(environment,
		"ETCD="+r.artifacts.Binaries["etcd"], "KUBE="+filepath.Dir(r.artifacts.Binaries["kube-apiserver"]), "DIR="+r.dir)...)
	command.Stderr = os.Stderr
	printed, err := command.Output()
	if err != nil {
		return figure{}, fmt.Errorf("%s: %w", name, err)
	}
	var f figure
	if err := json.Unmarshal(printed, &f); err != nil {
		return figure{}, fmt.Errorf("%s printed %q: %w", name, printed, err)
	}
	f.seconds = float64(f.ReadyMS) / 1000
	return f, nil
}
