#!/usr/bin/env bash
# What happens inside the guest of hack/guest.sh: a cluster up to a Ready pod, what
# cgroup v2 holds it to, and nothing of it left in the end. It is run by systemd
# as a service, as the install of an operator would be.
set -euo pipefail
cd "$(dirname "$0")"
pace=$(cat pace) # how many times slower than a real machine this one is
export BERTH_HOME=/srv/home HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PWD

say() { printf '%7.1f s  %s\n' "$(cut -d' ' -f1 /proc/uptime)" "$*"; }
fail() { say "FAIL: $*"; exit 1; }
trouble() {
  say "FAIL: line $1"
  berth status || true
  tail -n 40 "$BERTH_HOME/log/berth.log" || true
  tail -n 20 "$BERTH_HOME"/{management,machines/*}/{run/,}log/* || true
}
trap 'trouble $LINENO' ERR

# marks is all that Berth may have left on the host.
marks() {
  find /sys/fs/cgroup -type d -name 'berth*'
  ip -o link show | awk -F': ' '{print "link", $2}'
  ip route show table all | grep -v ' dev lo' | sed 's/^/route /' || true
  ls /run/netns 2>/dev/null | sed 's/^/netns /' || true
  nft list tables
  losetup -a
  grep -e berth -e "$BERTH_HOME" /proc/self/mountinfo || true
  pgrep -fa berth | grep -v -e guest-story -e pgrep || true
}
# holds waits until a command's output satisfies a pattern.
holds() {
  local pattern=$1 got=''
  shift
  for ((i = 0; i < 60 * pace; i++)); do
    got=$("$@" 2>&1) || true
    [[ $got =~ $pattern ]] && return
    sleep 1
  done
  fail "$* says '$got', not $pattern"
}

say "$(uname -sr), $(. /etc/os-release && echo "$PRETTY_NAME"), $(nproc) CPUs, $(awk '/MemTotal/{print int($2/1024)}' /proc/meminfo) MiB"
kind=$(stat -fc %T /sys/fs/cgroup)
[ "$kind" = cgroup2fs ] || fail "/sys/fs/cgroup is $kind"
say "cgroups: $kind with $(cat /sys/fs/cgroup/cgroup.controllers)"
say "the tests of package cgroup"
./cgroup.test -test.v

marks >/tmp/before
berth up --detach 2>&1 | tail -n 1
say "the service is up"
berth group create -n guest -o none
berth aks create -g guest -n guest -c 1 -s Standard_B2s -o none 2>&1 | tail -n 1
say "the cluster is there"
berth aks get-credentials --admin -g guest -n guest -f /root/kubeconfig
export KUBECONFIG=/root/kubeconfig
kubectl=$(berth release path kubectl)
"$kubectl" get nodes -o wide

"$kubectl" apply -f - <<'POD'
apiVersion: v1
kind: Pod
metadata: {name: held}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: client
    image: berth.internal/test/client:v1
    command: [/client, sleep]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 500m, memory: 64Mi}}
POD
"$kubectl" wait --for=condition=Ready pod/held --timeout="$((60 * pace))s"
say "the pod is Ready"

holds '^4194304Ki|4Gi$' "$kubectl" get nodes -o 'jsonpath={.items[*].status.capacity.memory}'
machine=$(find /sys/fs/cgroup/berth-*/ -maxdepth 1 -name 'machine-*')
say "the machine: memory.max $(cat "$machine/memory.max"), cpu.max $(cat "$machine/cpu.max"), pids.max $(cat "$machine/pids.max"), controllers for its groups: $(cat "$machine/cgroup.subtree_control")"
[ "$(cat "$machine/memory.max")" != max ] && [ "$(cut -d' ' -f1 "$machine/cpu.max")" = 200000 ] || fail "the machine is not held to its size"
pod=$(grep -lx 67108864 "$machine"/kubepods/burstable/*/*/memory.max) || fail "no group is held to the pod's 64 MiB"
pod=$(dirname "$pod")
say "the pod's container: memory.max $(cat "$pod/memory.max"), cpu.max $(cat "$pod/cpu.max")"
[ "$(cat "$pod/cpu.max")" = "50000 100000" ] || fail "the pod's group may take $(cat "$pod/cpu.max")"

# What one process takes beyond the limit ends the whole container, as cgroup v2 has it.
"$kubectl" exec held -- dd if=/dev/zero of=/dev/null bs=100M count=1 || true
holds '^OOMKilled$' "$kubectl" get pod held -o 'jsonpath={.status.containerStatuses[0].lastState.terminated.reason}'
say "a container that took more memory was ended"

berth aks nodepool show -g guest --cluster-name guest -n nodepool1 --query provisioningState -o tsv
berth down --purge
say "everything is taken down"
marks >/tmp/after
diff /tmp/before /tmp/after || fail "this is left on the host"
say "nothing is left"
echo "the guest is done"
