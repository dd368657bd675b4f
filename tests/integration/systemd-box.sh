#!/bin/bash
# systemd-box.sh - boot the real systemd of this machine as PID 1 of a throw-away box.
#
#   systemd-box.sh start DIR [--units UDIR] [--target T] [--bind SRC:DST]... [--hostnet] [--size 2g]
#   systemd-box.sh exec  DIR CMD [ARG...]     run CMD inside (root, cwd /, clean environment)
#   systemd-box.sh journal DIR [ARG...]       journalctl of the box
#   systemd-box.sh pid   DIR                  host-side pid of the box's systemd
#   systemd-box.sh stop  DIR                  kill -9 that pid: the pid namespace and all mounts go with it
#
# DIR     an empty directory of the caller's (state: DIR/pid, DIR/log, DIR/cgroup, DIR/mnt).
# UDIR    *.service/*.socket/... copied into /etc/systemd/system of the box (also drop-in folders).
# Needs:  root, python3, util-linux, systemd >= 249, overlayfs + tmpfs. cgroup v2 or v1-hybrid. No network.
# The host's / is the read-only lower layer; every write lands in a tmpfs. /tmp /run /dev /var/log are
# the box's own, /sys and /proc/sys are read-only, the network namespace is new (lo up) unless
# --hostnet. The box is put in a child cgroup of its own BEFORE unsharing the cgroup namespace, so it
# never manages the host's root cgroup. NEVER run the inner part by hand on the real root:
# systemd-tmpfiles would clean the real /tmp.
# Files of the host changed while a box runs may look stale inside (overlay lower layer): bind the build
# directory with --bind /path/build:/b and run /b/daemon. Several boxes may run at once (own DIR each).
# Works inside: journal, socket activation, FDSTORE, watchdog, DynamicUser, PrivateUsers, useradd, sandboxing
# and seccomp directives, IPAddressDeny, systemd-run, D-Bus, daemon-reexec, systemd-analyze security.
# Does not: MemoryMax/TasksMax/CPUQuota on a v1-hybrid host (no controllers), udev, logind, getty, timesync,
# sysctl writes outside net.*, RLIMIT_NOFILE above the caller's hard limit without CAP_SYS_RESOURCE.
set -euo pipefail
self=$(readlink -f "$0")
die() { echo "sdbox: $*" >&2; exit 1; }

inner() {   # runs as pid 1 of the new pid namespace, in new mount/uts/ipc/net/cgroup namespaces
  local d=$1; shift
  [ $$ = 1 ] || die "inner part must be pid 1"
  mount --make-rprivate /
  mount -t tmpfs -o size="$SDBOX_SIZE",mode=755 sdbox "$d/mnt"
  mkdir "$d/mnt/up" "$d/mnt/wk" "$d/mnt/root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$d/mnt/up,workdir=$d/mnt/wk" "$d/mnt/root"
  local r=$d/mnt/root m
  mount -t proc -o nosuid,nodev,noexec proc "$r/proc"
  mount --bind "$r/proc/sys" "$r/proc/sys"; mount -o remount,bind,ro "$r/proc/sys"
  [ "${SDBOX_HOSTNET:-}" ] ||
    { mount --bind "$r/proc/sys/net" "$r/proc/sys/net" && mount -o remount,bind,rw "$r/proc/sys/net"; } 2>/dev/null ||
    true
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$r/run"
  mkdir "$r/run/host"; : >"$r/run/host/notify"; mount --bind "$d/notify" "$r/run/host/notify"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$r/tmp"
  mount -t tmpfs -o mode=755 tmpfs "$r/var/log"
  # own /dev (devtmpfs would be the host's)
  mount -t tmpfs -o mode=755,nosuid tmpfs "$r/dev"
  for m in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r n a b <<<"$m"; mknod -m 666 "$r/dev/$n" c "$a" "$b"
  done
  mkdir "$r/dev/pts" "$r/dev/shm" "$r/dev/mqueue"
  mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$r/dev/pts" && ln -s pts/ptmx "$r/dev/ptmx"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$r/dev/shm"
  mount -t mqueue mqueue "$r/dev/mqueue" 2>/dev/null || true
  ln -s /proc/self/fd "$r/dev/fd"
  ln -s fd/0 "$r/dev/stdin"; ln -s fd/1 "$r/dev/stdout"; ln -s fd/2 "$r/dev/stderr"
  ln -s null "$r/dev/console"
  # /sys read-only (new instance so that /sys/class/net is ours), cgroups: our namespace only
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$r/sys" 2>/dev/null || mount --rbind -o ro /sys "$r/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$r/sys/fs/cgroup"
  for m in ${SDBOX_BINDS:-}; do
    local s=${m%%:*} t=$r${m#*:}
    s=$(readlink -f "$s"); if [ -d "$s" ]; then mkdir -p "$t"; else mkdir -p "${t%/*}"; : >"$t"; fi
    mount --bind "$s" "$t"
  done
  # a quiet system: only our units + journald
  rm -rf "$r"/etc/systemd/system/*.wants "$r"/etc/systemd/system/*.service "$r"/etc/systemd/system/*.target
  mkdir -p "$r/etc/systemd/system" "$r/etc/systemd/system.conf.d"
  for m in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket \
     systemd-udevd-kernel.socket systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service \
     systemd-random-seed.service \
     systemd-update-utmp.service systemd-timesyncd.service systemd-logind.service systemd-networkd.service \
     systemd-resolved.service systemd-boot-system-token.service systemd-binfmt.service systemd-pstore.service \
     proc-sys-fs-binfmt_misc.automount dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
     sys-kernel-config.mount sys-fs-fuse-connections.mount getty.target console-getty.service e2scrub_reap.service \
     apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer man-db.timer e2scrub_all.timer \
     networking.service ifup@.service keyboard-setup.service console-setup.service; do
    ln -sf /dev/null "$r/etc/systemd/system/$m"
  done
  : >"$r/etc/fstab"
  printf '[Manager]\nDefaultTimeoutStopSec=10s\nDefaultTimeoutStartSec=20s\nShowStatus=no\n' \
    >"$r/etc/systemd/system.conf.d/sdbox.conf"
  [ -z "${SDBOX_UNITS:-}" ] || cp -rL "$SDBOX_UNITS"/. "$r/etc/systemd/system/"
  printf 'sdbox\n' >"$r/etc/hostname"; hostname sdbox
  [ "${SDBOX_HOSTNET:-}" ] || ip link set lo up 2>/dev/null || true
  cd "$r"; mkdir -p "$r/var/lib/sdbox-old"
  pivot_root . var/lib/sdbox-old; umount -l /var/lib/sdbox-old
  mount --make-rshared /   # as a host has it, and container managers make it: credentials are mounted by a child
  exec env -i container=sdbox NOTIFY_SOCKET=/run/host/notify LANG=C.UTF-8 \
     PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
     /lib/systemd/systemd --system --log-target=journal --log-level=info --unit="$SDBOX_TARGET" </dev/null
}

# Says "bound", is told the pid of the box, and says "ready" when its systemd has told that it has booted, else why
# not.
await_boot() {
  exec python3 -c '
import os, select, socket, sys
notice = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notice.bind(sys.argv[1])
print("bound", flush=True)
box, limit = os.pidfd_open(int(sys.stdin.readline())), 25
while True:
    there = select.select([notice, box], [], [], limit)[0]
    if notice in there and b"READY=1" in notice.recv(4096).split(b"\n"):
        sys.exit(print("ready"))
    if not there or box in there:
        sys.exit(print("not up after 25 s" if not there else "died while starting"))
' "$1"
}

start() {
  local d=$1; shift
  export SDBOX_UNITS= SDBOX_TARGET=basic.target SDBOX_BINDS= SDBOX_HOSTNET= SDBOX_SIZE=2g
  while [ $# -gt 0 ]; do case $1 in
    --units) SDBOX_UNITS=$(readlink -f "$2"); shift 2;; --target) SDBOX_TARGET=$2; shift 2;;
    --bind) SDBOX_BINDS="$SDBOX_BINDS $2"; shift 2;; --hostnet) SDBOX_HOSTNET=1; shift;;
    --size) SDBOX_SIZE=$2; shift 2;; *) die "unknown option $1";; esac; done
  [ "$(id -u)" = 0 ] || die "needs root"
  mkdir -p "$d/mnt"; d=$(readlink -f "$d")
  if [ -s "$d/pid" ] && [ -d "/proc/$(<"$d/pid")" ]; then die "$d already runs"; fi
  local cg2; cg2=$(awk '$3=="cgroup2"{print $2; exit}' /proc/mounts)
  [ "$cg2" ] || die "no cgroup2 mount on this host"
  local cg=$cg2/sdbox-$$; mkdir "$cg"; echo "$cg" >"$d/cgroup"
  local net=--net; [ -z "$SDBOX_HOSTNET" ] || net=
  local up said; rm -f "$d/notify"
  coproc boot { await_boot "$d/notify"; }
  local from to; exec {from}<&"${boot[0]}" {to}>&"${boot[1]}"   # they outlive the coprocess
  read -r said <&"$from"
  # a shell joins the cgroup, then unshares: the cgroup namespace root is our child cgroup.
  # cgroup2 forbids processes in inner nodes with controllers: pid 1 moves itself to init.scope.
  ( echo $BASHPID >"$cg/cgroup.procs"
    exec {from}<&- {to}>&-
    ulimit -HSn 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"   # what a real PID 1 has
    exec setsid unshare --pid --mount --uts --ipc --cgroup $net --fork --kill-child -- \
      /bin/bash "$self" --inner "$d" ) >"$d/log" 2>&1 </dev/null &
  up=$!
  echo "$up" >&"$to"
  read -r said <&"$from" || true
  exec {from}<&- {to}>&-
  [ "$said" = ready ] || { cat "$d/log" >&2; die "box $said; systemd-box.sh journal $d"; }
  awk '{print $1}' "/proc/$up/task/$up/children" >"$d/pid"
}
boxexec() {
  local d=$1 p; shift; p=$(<"$d/pid")
  nsenter -t "$p" -m -u -i -n -p -C -r -w -- env -i container=sdbox HOME=/root LANG=C.UTF-8 TERM=dumb \
     PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
end() {   # kills and waits for what is nobody's child here
  python3 -c '
import os, select, signal, sys
box = os.pidfd_open(int(sys.argv[1]))
signal.pidfd_send_signal(box, signal.SIGKILL)
select.select([box], [], [], 5)' "$1"
}
stop() {
  local d=$1 p cg; p=$(cat "$d/pid" 2>/dev/null || true)
  if [ "$p" ] && [ "$(readlink "/proc/$p/exe" 2>/dev/null)" = /usr/lib/systemd/systemd ] && [ "$p" != 1 ] \
     && [ "$(readlink "/proc/$p/ns/pid")" != "$(readlink /proc/self/ns/pid)" ]; then end "$p"; fi
  cg=$(cat "$d/cgroup" 2>/dev/null || true)
  [ "$cg" ] && [ -d "$cg" ] && find "$cg" -depth -type d -exec rmdir {} + 2>/dev/null
  rm -f "$d/pid" "$d/cgroup" "$d/notify"
}
case ${1:-} in
  --inner) shift; inner "$@";;
  start) shift; start "$@";;
  exec) shift; boxexec "$@";;
  journal) d=$2; shift 2; boxexec "$d" journalctl --no-pager -o short-monotonic "$@";;
  pid) cat "$2/pid";;
  stop) stop "$2";;
  *) sed -n '2,23p' "$self"; exit 64;;
esac
