#!/bin/sh
# Installs the web page from the uploaded wheels, without a network, where its user can run but not change it.
set -eu

python3 -m venv --without-pip /opt/ui
pip() {
  /opt/ui/bin/python /tmp/pip --no-cache-dir --disable-pip-version-check --no-input "$@"
}
pip install --quiet --no-index --no-compile --find-links /tmp/wheels --require-hashes -r /tmp/requirements.lock
pip check
# Of the project it is the part that the page imports, so its own requirements are more than what is here.
pip install --quiet --no-index --no-compile --no-deps /tmp/own/calvinverse-*.whl
rm -f /opt/ui/bin/calvinverse /opt/ui/bin/[Aa]ctivate*
find /opt/ui/lib -type d \( -name tests -o -name testing \) -prune -exec rm -rf {} +
find /opt/ui/lib -type f -regex '.*\.\(pyi\|pyx\|pxd\|c\|h\)' -delete

mv /tmp/assets /opt/ui/assets
install -m 0644 /tmp/health.py /opt/ui/health.py
chown -R 0:0 /opt/ui
chmod -R u=rwX,go=rX /opt/ui
# Compiled once here: the user that runs it may not write.
/opt/ui/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/ui/lib
# Without a line in /etc/shadow, which would hold the day of the build.
echo 'ui:x:10003:' >>/etc/group
echo 'ui:x:10003:10003::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
rm -rf /tmp/wheels /tmp/own /tmp/pip /tmp/requirements.lock /tmp/health.py
