#!/bin/sh
# Puts the uploaded program, its configuration and its health check where the image's user can read but not change them.
set -eu

install -m 0755 /tmp/registry /usr/local/bin/registry
install -d -m 0755 /etc/registry /usr/local/lib/registry
install -m 0644 /tmp/config.yml /etc/registry/config.yml
install -m 0644 /tmp/health.py /usr/local/lib/registry/health.py
install -d -o 10001 -g 10001 -m 0700 /var/lib/registry
rm /tmp/registry /tmp/config.yml /tmp/health.py
