#!/bin/sh
# Installs the service from the uploaded wheels, without a network, where its user can run but not change it.
set -eu

# git reads templates out of repositories, over https or ssh; neither needs rights that its user lacks.
DEBIAN_FRONTEND=noninteractive dpkg --install /tmp/debs/*.deb >/dev/null
chmod ug-s /usr/bin/ssh-agent /usr/lib/openssh/ssh-keysign
rm -f /var/log/*.log /var/lib/dpkg/*-old /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /etc/*-

python3 -m venv --without-pip /opt/calvinverse
pip() {
  /opt/calvinverse/bin/python /tmp/pip --no-cache-dir --disable-pip-version-check --no-input "$@"
}
pip install --quiet --no-index --no-compile --find-links /tmp/wheels --require-hashes -r /tmp/requirements.lock
pip install --quiet --no-index --no-compile --no-deps /tmp/own/calvinverse-*.whl
pip check

# OpenTofu, and a mirror of providers in the layout that it reads.
install -m 0755 /tmp/bin/* /usr/local/bin/
cp -R /tmp/providers /opt/providers
chmod -R u=rwX,go=rX /opt/providers
find /opt/providers -type f -exec chmod 0755 {} +

install -m 0644 /tmp/health.py /opt/calvinverse/health.py
ln -s /opt/calvinverse/bin/calvinverse /usr/local/bin/calvinverse
# Compiled once here: the user that runs it may not write.
/opt/calvinverse/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/calvinverse/lib
rm -rf /tmp/bin /tmp/providers /tmp/debs /tmp/wheels /tmp/own /tmp/pip /tmp/requirements.lock /tmp/health.py
