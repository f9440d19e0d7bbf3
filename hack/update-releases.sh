#!/bin/bash
# Writes the .mod and .sum files of the release modules under kubernetes/, from
# which `berth release build` builds. Run it after changing a version here, and
# the catalog in internal/release with it.
#
# A .mod file pins everything that a part is built from; the .sum file beside it
# holds the checksums, complete, so that a build verifies all of it and writes nothing.
#
# usage: hack/update-releases.sh [PART...]    e.g. hack/update-releases.sh etcd runc
set -euo pipefail
cd "$(dirname "$0")/../kubernetes"
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOWORK=off GOTOOLCHAIN=local GOFLAGS=-mod=mod

# tidy PART VERSION: completes $work/go.mod and stores it with its checksums.
tidy() {
	(cd "$work" && go mod tidy && go mod verify >/dev/null)
	cp "$work/go.mod" "$root/$1/$2.mod"
	cp "$work/go.sum" "$root/$1/$2.sum"
	echo "kubernetes/$1/$2"
}

# begin PART: an empty module in $work.
begin() {
	rm -rf "${work:?}"/*
	cat >"$work/go.mod" <<-MOD
		module berth.dev/berth/kubernetes/$1

		go 1.26.0
	MOD
}

# programs PART MODULE VERSION PACKAGE...: a part made of upstream's own main packages.
programs() {
	local part=$1 module=$2 version=$3
	shift 3
	begin "$part"
	(
		cd "$work"
		go mod edit -require="$module@$version"
		for package in "$@"; do go mod edit -tool="$package"; done
	)
	tidy "$part" "$version"
}

# main PART MODULE VERSION: a part with a program of ours around upstream's packages.
main() {
	begin "$1"
	(cd "$work" && go mod edit -require="$2@$3")
	source_of "$1"
	tidy "$1" "$3"
}

# source_of PART: the part's Go files, with the constraint removed that hides them from Berth's own build.
source_of() {
	local file
	for file in "$root/$1"/*.go; do grep -v '^//go:build ignore' "$file" >"$work/${file##*/}"; done
}

# of_release PART VERSION: an empty module of a Kubernetes release in $work. Upstream's go.mod points at
# staging directories that the published module has not; each is replaced by the module of the same release.
of_release() {
	local version=$2 staging=v0.${2#v1.} upstream module
	begin "$1"
	upstream=$(cd "$work" && go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
	(
		cd "$work"
		go mod edit -go="$(sed -n 's/^go //p' "$upstream")" -godebug="$(sed -n 's/^godebug //p' "$upstream")"
		go mod edit -require="k8s.io/kubernetes@$version"
		for module in $(sed -n 's#^\t\(k8s.io/[^ ]*\) => ./staging.*#\1#p' "$upstream"); do
			go mod edit -replace="$module=$module@$staging"
		done
	)
}

# kubernetes VERSION: an API server of ours and upstream's other programs.
kubernetes() {
	of_release kubernetes "$1"
	(
		cd "$work"
		for sample in apiserver cli-plugin controller; do go mod edit -dropreplace="k8s.io/sample-$sample"; done
		for program in kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do go mod edit -tool="k8s.io/kubernetes/cmd/$program"; done
	)
	source_of kubernetes
	tidy kubernetes "$1"
}

# conformance VERSION: upstream's end-to-end tests and the program that their pods run.
conformance() {
	of_release conformance "$1"
	(cd "$work" && go mod edit -tool=k8s.io/kubernetes/test/e2e -tool=k8s.io/kubernetes/test/images/{agnhost,nonewprivs})
	tidy conformance "$1"
}

plugins=github.com/containernetworking/plugins/plugins
part_kubernetes() { for version in 1.34.1 1.34.3 1.35.3 1.35.4 1.36.2 1.36.3; do kubernetes "v$version"; done; }
part_etcd() { programs etcd go.etcd.io/etcd/server/v3 v3.6.8 go.etcd.io/etcd/server/v3; }
part_containerd() {
	local cmd=github.com/containerd/containerd/v2/cmd
	programs containerd github.com/containerd/containerd/v2 v2.4.2 $cmd/containerd $cmd/containerd-shim-runc-v2 $cmd/ctr
}
part_runc() { programs runc github.com/opencontainers/runc v1.5.2 github.com/opencontainers/runc; }
part_cni() {
	programs cni github.com/containernetworking/plugins v1.9.1 $plugins/main/{bridge,loopback,ptp} \
		$plugins/ipam/{host-local,static} $plugins/meta/{bandwidth,firewall,portmap,tuning}
}
part_konnectivity() {
	local cmd=sigs.k8s.io/apiserver-network-proxy/cmd
	programs konnectivity sigs.k8s.io/apiserver-network-proxy v0.34.0 $cmd/server $cmd/agent
}
part_conformance() { for version in 1.35.4 1.36.3; do conformance "v$version"; done; }
part_sample() { programs sample k8s.io/sample-apiserver v0.29.2 k8s.io/sample-apiserver; }
part_coredns() { main coredns github.com/coredns/coredns v1.15.0; }
part_metrics-server() { programs metrics-server sigs.k8s.io/metrics-server v0.9.0 sigs.k8s.io/metrics-server/cmd/metrics-server; }
part_disk() { main disk github.com/container-storage-interface/spec v1.12.0; }

[ $# -gt 0 ] || set -- kubernetes etcd containerd runc cni konnectivity coredns metrics-server disk conformance sample
for part in "$@"; do "part_$part"; done
