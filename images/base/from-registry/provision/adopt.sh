#!/bin/sh
# Makes the base out of a Debian 12: installs what it lacks, adds the user, and leaves nothing that only a build needs.
# In: PACKAGES (by spaces), /tmp/sources.list (mirrors to take instead of the image's own, if it names some).
# Out: /tmp/packages.tsv (name, version, architecture).
set -eu
export DEBIAN_FRONTEND=noninteractive

. /etc/os-release
if [ "${ID:-}" != debian ] || [ "${VERSION_ID:-}" != 12 ]; then
  echo "Error: the image to start from is ${PRETTY_NAME:-unknown}, and not Debian 12." >&2
  exit 1
fi

# As in an image that is made from nothing: no manuals or translations, but the licences.
cat >/etc/dpkg/dpkg.cfg.d/calvinverse <<'END'
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
END

missing=
for package in $PACKAGES; do
  state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ -s /tmp/sources.list ]; then
    rm -rf /etc/apt/sources.list.d/*
    cp /tmp/sources.list /etc/apt/sources.list
  fi
  apt-get -q -o Acquire::Retries=3 update
  apt-get -q -y -o Acquire::Retries=3 install --no-install-recommends $missing
fi

if ! getent passwd calvinverse >/dev/null; then
  groupadd --gid 10001 calvinverse
  useradd --uid 10001 --gid 10001 --home-dir /var/lib/calvinverse --no-create-home --shell /usr/sbin/nologin calvinverse
fi
if [ "$(id -u calvinverse):$(id -g calvinverse)" != 10001:10001 ]; then
  echo "Error: the image to start from has a user calvinverse who isn't 10001:10001." >&2
  exit 1
fi
install -d -o 10001 -g 10001 -m 0700 /var/lib/calvinverse

dpkg-query --showformat '${Package}\t${Version}\t${Architecture}\n' --show >/tmp/packages.tsv

find /usr/share/doc -mindepth 1 ! -type d ! -name copyright -delete
rm -rf /usr/share/man/* /usr/share/info/* /usr/share/locale/*
rm -rf /etc/machine-id /var/lib/dbus/machine-id /root/.cache /root/.ssh
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/preferences.d/* /var/lib/apt/lists/* /var/cache/apt/*
rm -rf /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/ldconfig/* /etc/*- /var/log/*.log /var/log/apt/*
rm -rf /tmp/sources.list
