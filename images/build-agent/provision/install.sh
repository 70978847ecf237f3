#!/bin/sh
# Installs the uploaded packages, programs and libraries without a network, where the image's user can run but not change
# them.
set -eu

DEBIAN_FRONTEND=noninteractive dpkg --install /tmp/debs/*.deb >/dev/null
rm -f /var/log/*.log /var/lib/dpkg/*-old /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache

# The client alone: no engine comes along.
dpkg-deb --extract /tmp/unpacked/docker.io_*.deb /tmp/docker
install -m 0755 /tmp/docker/usr/bin/docker /tmp/bin/* /usr/local/bin/

# pip is one of the wheels, and installs itself out of its own.
python3 -m venv --without-pip /opt/builder
/opt/builder/bin/python "$(echo /tmp/wheels/pip-*.whl)/pip" install \
  --no-cache-dir --disable-pip-version-check --no-input --quiet --no-index --no-compile \
  --find-links /tmp/wheels --require-hashes -r /tmp/requirements.lock
/opt/builder/bin/python -m pip check
# Compiled once here: the user that runs it may not write.
/opt/builder/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/builder/lib

install -m 0755 /tmp/agent.py /usr/local/bin/build-agent

# The agent puts the certificates that a build comes with here: apt, pip and Python look in this one place.
cp /etc/ssl/certs/ca-certificates.crt /var/lib/calvinverse/certificates.pem
chown 10001:10001 /var/lib/calvinverse/certificates.pem
ln -sf /var/lib/calvinverse/certificates.pem /etc/ssl/certs/ca-certificates.crt

rm -rf /tmp/bin /tmp/debs /tmp/docker /tmp/unpacked /tmp/wheels /tmp/requirements.lock /tmp/agent.py
