#!/bin/sh
# forget.sh: removes the entities that OpenBao made for jobs of Nomad that logged in at auth/jwt-nomad, and for people.
# Removing the mounts removes their tokens, and leaves the entities.
set -eu

for mount in jwt-nomad calvinverse-people; do
  accessor=$(bao read -field=accessor "sys/auth/$mount" 2>/dev/null) || continue
  bao list -format=yaml identity/entity-alias/id | sed 's/^- //' | while read -r alias; do
    if [ "$(bao read -field=mount_accessor "identity/entity-alias/id/$alias")" = "$accessor" ]; then
      bao delete "identity/entity/id/$(bao read -field=canonical_id "identity/entity-alias/id/$alias")"
    fi
  done
done
