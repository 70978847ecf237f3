#!/bin/sh
# Installs the uploaded packages without a network; what starts and configures the server is readable by its user, and
# no more.
set -eu

# Debian would make a database at once, with a key that every container of this image would share.
install -d -m 0755 /etc/postgresql-common
echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf

DEBIAN_FRONTEND=noninteractive dpkg --install --ignore-depends=libllvm14 /tmp/debs/*.deb >/dev/null
# The compiler of queries and its intermediate code: without LLVM they are of no use.
rm -rf /usr/lib/postgresql/15/lib/llvmjit* /usr/lib/postgresql/15/lib/bitcode
rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem
find /etc/ssl/certs -xtype l -delete
rm -rf /var/lib/postgresql /var/log/postgresql /run/postgresql
rm -f /var/log/*.log /var/lib/dpkg/*-old /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /etc/*-

install -m 0755 /tmp/postgres-start /tmp/postgres-health /usr/local/bin/
install -d -m 0755 /etc/calvinverse
install -m 0644 /tmp/postgresql.conf /tmp/pg_hba.conf /etc/calvinverse/
rm -rf /tmp/debs /tmp/postgres-start /tmp/postgres-health /tmp/postgresql.conf /tmp/pg_hba.conf
