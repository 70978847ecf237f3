#!/bin/sh
# Puts the uploaded program where the image's user can run but not change it.
set -eu

install -d -m 0755 /opt/web
mv /tmp/app /opt/web/app
find /opt/web -name __pycache__ -prune -exec rm -rf {} +
chown -R 0:0 /opt/web
chmod -R u=rwX,go=rX /opt/web
# Compiled once here: the user that runs it may not write.
python3 -m compileall -q --invalidation-mode unchecked-hash /opt/web/app
