#!/bin/sh
# Puts the uploaded programs where the image's user can run but not change them.
set -eu

install -m 0755 /tmp/caddy /usr/local/bin/caddy
install -d -m 0755 /opt/edge
mv /tmp/app /opt/edge/app
find /opt/edge -name __pycache__ -prune -exec rm -rf {} +
chown -R 0:0 /opt/edge
chmod -R u=rwX,go=rX /opt/edge
# Compiled once here: the user that runs it may not write.
python3 -m compileall -q --invalidation-mode unchecked-hash /opt/edge/app
# Without a line in /etc/shadow, which would hold the day of the build.
echo 'edge:x:10002:' >>/etc/group
echo 'edge:x:10002:10002::/var/lib/edge:/usr/sbin/nologin' >>/etc/passwd
install -d -o 10002 -g 10002 -m 0700 /var/lib/edge
rm /tmp/caddy
