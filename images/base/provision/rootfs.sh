#!/bin/sh
# Makes $WORK/rootfs.tar: Debian with Python, certificates and an init, the same bytes from the same packages.
# In: WORK (folder with sources.list, which may be empty), SUITE, PACKAGES (comma-separated), SOURCE_DATE_EPOCH,
# LOCK (a packages.tsv to make again, as far as the mirror still has those versions; it need not be there).
# Out: $WORK/rootfs.tar, $WORK/packages.tsv (name, version, architecture).
set -eu

# mmdebstrap hands a descriptor to dash, which knows those below 10 only: close what was inherited.
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-

# Else Python keeps what it compiles at its first import, with times in it, unless the caller's own variable says no.
export PYTHONDONTWRITEBYTECODE=1

# Without a mirror of the host mmdebstrap takes its own default.
set -- "$SUITE" "$WORK/rootfs.tar"
if [ -s "$WORK/sources.list" ]; then
  set -- "$@" "$WORK/sources.list"
fi

# As root mmdebstrap mounts proc, sys and dev. In a namespace of its own those end with it, however it ends.
own_mounts=
if [ "$(id -u)" = 0 ]; then
  own_mounts="unshare --mount --propagation private --"
fi

# Documents, manuals and translations are for people; licences stay.
# apt's folders are emptied here and not by mmdebstrap, which makes them anew with an owner that depends on the host.
# Host name and resolver are those of the machine that builds: an image has neither, nor the mirror it came from.
make_rootfs() {
  TMPDIR="$WORK" $own_mounts mmdebstrap \
    --variant=minbase \
    --format=tar \
    --skip=cleanup/apt \
    --include="$PACKAGES" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='chroot "$1" groupadd --gid 10001 calvinverse' \
    --customize-hook='chroot "$1" useradd --uid 10001 --gid 10001 --home-dir /var/lib/calvinverse --no-create-home --shell /usr/sbin/nologin calvinverse' \
    --customize-hook='install -d -o 10001 -g 10001 -m 0700 "$1/var/lib/calvinverse"' \
    --customize-hook='dpkg-query --admindir="$1/var/lib/dpkg" --showformat "\${Package}\t\${Version}\t\${Architecture}\n" --show > "$WORK/packages.tsv"' \
    --customize-hook='rm -rf "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/etc/machine-id "$1"/var/lib/dbus/machine-id' \
    --customize-hook='rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/preferences.d/* "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
    --customize-hook='rm -rf "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old "$1"/var/cache/ldconfig/* "$1"/etc/*- "$1"/var/log/*.log "$1"/var/log/apt/*' \
    "$@"
}

if [ -s "$LOCK" ]; then
  # Each package of the lock is pinned above every other version there is; a pin that matches nothing does nothing.
  awk -F'\t' '{ printf "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", $1, $2 }' "$LOCK" >"$WORK/preferences"
  if make_rootfs --setup-hook='install -m 0644 "$WORK/preferences" "$1/etc/apt/preferences.d/locked"' "$@"; then
    exit 0
  fi
  # What is left of those versions on the mirror may not go together with what came after them.
  echo "With the packages of the lock it failed; trying with the newest."
  rm -f "$WORK/rootfs.tar"
fi
make_rootfs "$@"
