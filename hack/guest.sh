#!/usr/bin/env bash
# Boots a Debian guest under QEMU, which has cgroup v2 and no network but its
# own, and makes a cluster in it: hack/guest-story.sh is what happens inside.
# Needs root. usage: hack/guest.sh
#
# GUEST_DIR keeps Debian's files for the next run, 0.5 GB; unset, all is thrown
# away. GUEST_TIMEOUT ends a guest that hangs, in seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

memory_mib=4096
disk=20G # sparse: about 3 GB of it are written
if [ "$(id -u)" != 0 ]; then
  echo "a guest's disk is made of files that belong to root: sudo hack/guest.sh" >&2
  exit 1
fi
hack/packages.sh qemu-system-x86 mmdebstrap e2fsprogs
work=$(mktemp -d -t berth-guest-XXXXXX)
trap 'rm -rf "$work"' EXIT

say() { printf '[%s] %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }

# Without virtualization in the processor /dev/kvm, where it is there, boots only
# kernels that were made for it. Then every instruction is interpreted, which takes
# ten times as long.
accelerator=(-accel "tcg,thread=multi" -cpu max)
pace=10
if grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; then
  accelerator=(-accel kvm -cpu host)
  pace=1
fi

say "building what the guest is given"
hack/build.sh "$work/berth"
"$work/berth/berth" release build
"$work/berth/berth" release export --file "$work/release.tar.zst" >/dev/null
cp hack/guest-story.sh "$work/berth/"
CGO_ENABLED=0 go test -c -tags e2e -o "$work/berth/cgroup.test" ./internal/cgroup
echo "$pace" >"$work/berth/pace"

debian=${GUEST_DIR:-$work}/debian
if [ ! -e "$debian.whole" ]; then
  say "making a Debian of packages"
  rm -rf "$debian"
  mkdir -p "$(dirname "$debian")"
  mmdebstrap --quiet --variant=minbase \
    --include=systemd-sysv,udev,linux-image-cloud-amd64,iproute2,nftables,e2fsprogs,xfsprogs,kmod,procps \
    bookworm "$debian"
  touch "$debian.whole"
fi

say "making its disk"
root=$work/root
cp -a "$debian" "$root"
mv "$work/berth" "$root/srv/berth"
BERTH_CACHE=$root/var/cache/berth "$root/srv/berth/berth" release import --file "$work/release.tar.zst" 2>/dev/null
rm "$work/release.tar.zst"
# What berth up asks of a host whose kernel has them as modules.
printf 'loop\noverlay\n' >"$root/etc/modules-load.d/berth.conf"
cat >"$root/etc/systemd/system/berth-story.service" <<'UNIT'
[Unit]
Description=A cluster on this machine
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate
[Service]
Type=oneshot
ExecStart=/srv/berth/guest-story.sh
StandardOutput=file:/dev/ttyS1
StandardError=inherit
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../berth-story.service "$root/etc/systemd/system/multi-user.target.wants/"
truncate -s "$disk" "$work/disk"
mkfs.ext4 -q -d "$root" "$work/disk"
cp "$root"/boot/vmlinuz-* "$work/kernel"
cp "$root"/boot/initrd.img-* "$work/initrd"
rm -rf "$root"

say "booting it (${accelerator[1]})"
touch "$work/story"
tail -f --pid=$$ "$work/story" 2>/dev/null &
tail=$!
timeout "${GUEST_TIMEOUT:-$((900 + 450 * pace))}" qemu-system-x86_64 "${accelerator[@]}" \
  -m "$memory_mib" -smp 2 -nic none -display none -monitor none -no-reboot \
  -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
  -kernel "$work/kernel" -initrd "$work/initrd" \
  -append "root=/dev/vda rw console=ttyS0 panic=-1 systemd.show_status=no systemd.default_timeout_start_sec=$((90 * pace)) systemd.default_device_timeout_sec=$((90 * pace)) systemd.mask=serial-getty@ttyS0.service" \
  -serial "file:$work/console" -serial "file:$work/story" </dev/null || say "the guest was ended: $?"
sleep 1 # tail looks once a second
kill "$tail" 2>/dev/null || true
if ! grep -q '^the guest is done' "$work/story"; then
  say "the story did not come to its end; the last lines of the console:"
  tail -n 30 "$work/console" >&2
  exit 1
fi
