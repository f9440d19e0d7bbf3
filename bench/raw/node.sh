#!/usr/bin/env bash
# The baseline of a node: a sandbox in a user namespace made with unshare, with
# containerd, kube-proxy and kubelet started by hand and upstream's defaults,
# joined with a ready-made certificate to the control plane of
# control-plane.sh. Prints the milliseconds from the start of the sandbox to the
# node's Ready condition, then removes all of it.
#
# usage: BIN=… RUNC=… CNI=… IMAGE=… PAUSE=… ARCHIVE=… ETCD=… KUBE=… DIR=… bash node.sh
#   BIN      a directory with containerd, containerd-shim-runc-v2 and ctr; RUNC the runc binary
#   CNI      the directory of the CNI plugins
#   IMAGE    the root file system of the node image
#   PAUSE    the reference of the pause image; ARCHIVE the OCI archive it is in
#   KUBE     the directory of kube-apiserver, kubelet, kube-proxy and kubectl
#   DIR      an empty directory; needs mkfs.ext4, nft, ip, openssl, curl
set -euo pipefail
FIRST=300000000 # the first host id of the node's user namespace
CONTROLLERS="cpu cpuacct cpuset memory devices freezer blkio pids"

outside() {
  : "${BIN:?}" "${RUNC:?}" "${CNI:?}" "${IMAGE:?}" "${PAUSE:?}" "${ARCHIVE:?}" "${ETCD:?}" "${KUBE:?}" "${DIR:?}"
  export NAME=raw$$ GATEWAY=10.99.0.1 IP=10.99.0.2
  here=$(cd "$(dirname "$0")" && pwd)
  mkdir -p "$DIR"/{cp,disk}
  trap clean EXIT

  # What is made ready beforehand: a control plane in a namespace, a root whose
  # owners are shifted, a disk, and a kubeconfig.
  ip netns add "$NAME"
  ip -n "$NAME" link set lo up
  ip -n "$NAME" link add "v$NAME" type veth peer name "p$NAME"
  ip -n "$NAME" addr add "$GATEWAY/24" dev "v$NAME"
  ip -n "$NAME" link set "v$NAME" up
  mkfifo "$DIR/keep" "$DIR/line" # the control plane runs until keep is closed
  KEEP=1 ADDRESS=$GATEWAY DIR=$DIR/cp ip netns exec "$NAME" bash "$here/control-plane.sh" <"$DIR/keep" >"$DIR/line" &
  control_plane=$!
  exec 9>"$DIR/keep"
  SERVER=$(sed 's/.*"server": "\([^"]*\)".*/\1/' <"$DIR/line")
  cp -a "$IMAGE" "$DIR/root"
  mkdir -p "$DIR"/root/opt/{bin,cni/bin,pki} "$DIR/root/state"
  cp "$BIN"/{containerd,containerd-shim-runc-v2,ctr} "$RUNC" "$DIR/root/opt/bin/"
  cp "$KUBE"/{kubelet,kube-proxy} "$DIR/root/opt/bin/"
  cp "$CNI"/* "$DIR/root/opt/cni/bin/"
  cp "$ARCHIVE" "$DIR/root/state/images.tar"
  certify node "/O=system:nodes/CN=system:node:$NAME" >"$DIR/root/opt/pki/kubelet.kubeconfig"
  certify proxy /CN=system:kube-proxy >"$DIR/root/opt/pki/proxy.kubeconfig"
  certify waiter /O=system:masters/CN=waiter >"$DIR/admin.kubeconfig"
  cp "$DIR/cp/ca.crt" "$DIR/root/opt/pki/"
  cp "$0" "$DIR/root/state/node.sh"
  chown -R "$FIRST:$FIRST" "$DIR/root"
  truncate -s 16G "$DIR/disk.img"
  mkfs.ext4 -q -E "root_owner=$FIRST:$FIRST" "$DIR/disk.img"
  mount -o loop "$DIR/disk.img" "$DIR/disk"
  mkdir -p "$DIR/disk/kubelet" "$DIR/disk/containerd"
  chown "$FIRST:$FIRST" "$DIR"/disk/*

  started=$(date +%s%N)
  for c in $CONTROLLERS systemd; do
    d=/sys/fs/cgroup/$c/$NAME; mkdir -p "$d"
    if [ "$c" = cpuset ]; then for f in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$f" >"$d/cpuset.$f"; done; fi
    chown -R "$FIRST:$FIRST" "$d"
  done
  unshare -U sleep 60 & # holds the user namespace until the node is in it
  holder=$!
  until [ "$(readlink "/proc/$holder/ns/user")" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.002; done
  echo "0 $FIRST 65536" >"/proc/$holder/uid_map"; echo "0 $FIRST 65536" >"/proc/$holder/gid_map"
  (
    for c in $CONTROLLERS systemd; do echo "$BASHPID" >"/sys/fs/cgroup/$c/$NAME/cgroup.procs"; done
    INSIDE=1 exec nsenter -t "$holder" -U -S 0 -G 0 unshare -n -C -m -p -u -i --fork bash "$here/node.sh" >"$DIR/node.log" 2>&1
  ) &
  node=$!
  until inside=$(pgrep -P "$node" -f node.sh) && [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
    kill -0 "$node" || { cat "$DIR/node.log" >&2; exit 1; }
    sleep 0.01
  done
  kill "$holder"
  ip -n "$NAME" link set "p$NAME" netns "$inside" name eth0
  until (exec ip netns exec "$NAME" "$KUBE/kubectl" --kubeconfig "$DIR/admin.kubeconfig" \
    wait --for=condition=Ready "node/$NAME" --timeout=30s >/dev/null 2>&1); do
    kill -0 "$node" || { cat "$DIR/node.log" >&2; exit 1; }
    sleep 0.02
  done
  printf '{"ready_ms": %d}\n' $((($(date +%s%N) - started) / 1000000))
}

certify() { # name, subject: prints a kubeconfig for a fresh certificate
  local cp=$DIR/cp
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$cp/$1.key" -subj "$2" 2>/dev/null |
    openssl x509 -req -CA "$cp/ca.crt" -CAkey "$cp/ca.key" -CAcreateserial -days 1 -out "$cp/$1.crt" -extfile <(echo extendedKeyUsage=clientAuth) 2>/dev/null
  cat <<END
apiVersion: v1
kind: Config
clusters: [{name: raw, cluster: {server: "$SERVER", certificate-authority-data: $(base64 -w0 "$cp/ca.crt")}}]
users: [{name: raw, user: {client-certificate-data: $(base64 -w0 "$cp/$1.crt"), client-key-data: $(base64 -w0 "$cp/$1.key")}}]
contexts: [{name: raw, context: {cluster: raw, user: raw}}]
current-context: raw
END
}

clean() {
  set +e
  [ -n "${holder:-}" ] && kill "$holder" 2>/dev/null
  [ -n "${inside:-}" ] && kill -9 "$inside" 2>/dev/null
  [ -n "${node:-}" ] && wait "$node" 2>/dev/null
  exec 9>&-
  [ -n "${control_plane:-}" ] && wait "$control_plane"
  while [ -n "$(find "/sys/fs/cgroup/pids/$NAME" -name cgroup.procs -exec cat {} + 2>/dev/null)" ]; do sleep 0.02; done
  umount "$DIR/disk"
  ip netns del "$NAME"
  for c in $CONTROLLERS systemd; do find "/sys/fs/cgroup/$c/$NAME" -depth -type d -exec rmdir {} + 2>/dev/null; done
  rm -rf "$DIR"
}

inside() {
  ROOT=$DIR/root
  mount --make-rprivate /
  mount --bind "$ROOT" "$ROOT"; cd "$ROOT"
  mkdir -p proc sys dev run tmp oldroot var/lib/kubelet var/lib/containerd
  mount -t proc proc proc; mount -t sysfs sysfs sys
  mount -t tmpfs -o mode=755 tmpfs dev
  for n in null zero full random urandom tty; do touch "dev/$n"; mount --bind "/dev/$n" "dev/$n"; done
  mkdir dev/pts dev/shm; mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666; ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
  touch dev/kmsg; mount --bind /dev/null dev/kmsg
  mount -t tmpfs tmpfs dev/shm; mount -t tmpfs -o mode=755 tmpfs run; mount -t tmpfs tmpfs tmp
  mount -t tmpfs tmpfs sys/fs/cgroup
  for c in $CONTROLLERS; do mkdir -p "sys/fs/cgroup/$c"; mount -t cgroup -o "$c" cgroup "sys/fs/cgroup/$c"; done
  mkdir -p sys/fs/cgroup/systemd; mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  mount --bind "$DIR/disk/kubelet" var/lib/kubelet; mount --bind "$DIR/disk/containerd" var/lib/containerd
  pivot_root . oldroot; cd /; umount -l /oldroot; mount --make-rshared /
  hostname "$NAME"; ip link set lo up
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.01; done
  ip addr add "$IP/24" dev eth0; ip link set eth0 up; ip route add default via "$GATEWAY"; echo 1 >/proc/sys/net/ipv4/ip_forward
  export PATH=/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin
  mkdir -p /etc/cni/net.d
  cat >/etc/cni/net.d/10-raw.conflist <<'END'
{"cniVersion":"0.4.0","name":"raw","plugins":[{"type":"ptp","ipam":{"type":"host-local","ranges":[[{"subnet":"10.98.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
END
  cat >/state/containerd.toml <<END
version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "$PAUSE"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
END
  containerd -c /state/containerd.toml >/state/containerd.log 2>&1 &
  until [ -S /run/containerd/containerd.sock ]; do sleep 0.02; done
  ctr -n k8s.io images import /state/images.tar >/dev/null
  cat >/state/kubelet.yaml <<'END'
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
featureGates: {KubeletInUserNamespace: true}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /opt/pki/ca.crt}}
authorization: {mode: Webhook}
failSwapOn: false
resolvConf: ""
END
  cat >/state/kube-proxy.yaml <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: /opt/pki/proxy.kubeconfig}
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
hostnameOverride: $NAME
END
  kube-proxy --config /state/kube-proxy.yaml >/state/kube-proxy.log 2>&1 &
  exec kubelet --config /state/kubelet.yaml --kubeconfig /opt/pki/kubelet.kubeconfig --hostname-override "$NAME" --node-ip "$IP" >/state/kubelet.log 2>&1
}

if [ -n "${INSIDE:-}" ]; then inside; else outside; fi
