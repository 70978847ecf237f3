#!/bin/sh
# forget.sh: removes the entities that OpenBao made for jobs of Nomad that logged in at auth/jwt-nomad. Removing the mount
# removes their tokens, and leaves the entities.
set -eu

mount=$(bao read -field=accessor sys/auth/jwt-nomad)
bao list -format=yaml identity/entity-alias/id | sed 's/^- //' | while read -r alias; do
  if [ "$(bao read -field=mount_accessor "identity/entity-alias/id/$alias")" = "$mount" ]; then
    bao delete "identity/entity/id/$(bao read -field=canonical_id "identity/entity-alias/id/$alias")"
  fi
done
