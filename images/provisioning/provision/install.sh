#!/bin/sh
# Installs the service from the uploaded wheels, without a network, where its user can run but not change it.
set -eu

python3 -m venv --without-pip /opt/calvinverse
pip() {
  /opt/calvinverse/bin/python /tmp/pip --no-cache-dir --disable-pip-version-check --no-input "$@"
}
pip install --quiet --no-index --no-compile --find-links /tmp/wheels --require-hashes -r /tmp/requirements.lock
pip install --quiet --no-index --no-compile --no-deps /tmp/own/calvinverse-*.whl
pip check

install -m 0644 /tmp/health.py /opt/calvinverse/health.py
ln -s /opt/calvinverse/bin/calvinverse /usr/local/bin/calvinverse
# Compiled once here: the user that runs it may not write.
/opt/calvinverse/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/calvinverse/lib
rm -rf /tmp/wheels /tmp/own /tmp/pip /tmp/requirements.lock /tmp/health.py
