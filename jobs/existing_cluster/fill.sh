#!/bin/sh
# fill.sh FILE: prints the file with the addresses and authorities of this cluster in place of the words in capitals.
#
# The words are the variables that the programs of Nomad, Consul and OpenBao read; for one that ends in _CACERT comes the
# content of the file, as text in quotes (JSON and HCL write the ends of lines alike). JWT_ACCESSOR and TOKEN_ACCESSOR stand
# for the accessors of OpenBao's auth mounts, which OpenBao tells, and PARTS_CA for the authority of its mount pki-parts.
set -eu

text() {
  sed 's/$/\\\\n/' | tr -d '\n'
}

file() {
  if [ -n "${1:-}" ]; then text <"$1"; fi
}

authority() {
  if grep -q PARTS_CA "$1"; then bao read -field=certificate pki-parts/issuer/default; fi
}

accessor() {
  if grep -q "$1" "$3"; then bao read -field=accessor "sys/auth/$2"; fi
}

jwt=$(accessor JWT_ACCESSOR jwt-nomad "$1")
token=$(accessor TOKEN_ACCESSOR token "$1")
parts=$(authority "$1")
sed \
  -e "s|NOMAD_ADDR|${NOMAD_ADDR:?}|" -e "s|NOMAD_CACERT|$(file "${NOMAD_CACERT:-}")|" \
  -e "s|CONSUL_HTTP_ADDR|${CONSUL_HTTP_ADDR:?}|" -e "s|CONSUL_CACERT|$(file "${CONSUL_CACERT:-}")|" \
  -e "s|BAO_ADDR|${BAO_ADDR:?}|" -e "s|BAO_CACERT|$(file "${BAO_CACERT:-}")|" \
  -e "s|PARTS_CA|$(printf '%s' "$parts" | text)|" \
  -e "s|JWT_ACCESSOR|$jwt|" -e "s|TOKEN_ACCESSOR|$token|" \
  "$1"
