#!/bin/sh
# people.sh ADDRESS: sets OpenBao up as the OpenID provider of the people who reach the service at ADDRESS, such as
# https://calvinverse.example.org:8443. It may be repeated; with another address it moves the provider there.
set -eu

address=${1:?"usage: people.sh ADDRESS"}
trust=$(dirname "$0")/../../environments/providers/local_cluster/trust/files
people=calvinverse-people

bao policy write calvinverse-person "$trust/openbao-person.hcl"
bao policy write calvinverse-people-manager "$trust/openbao-people-manager.hcl"
bao write auth/jwt-nomad/role/calvinverse-people-manager "@$trust/openbao-role-people.json"
# the login, its time limits, and the group of those who may sign in
bao read -field=accessor "sys/auth/$people" >/dev/null 2>&1 || bao auth enable -path="$people" userpass
bao write "sys/auth/$people/tune" "@$trust/openbao-people-login.json"
bao write "identity/group/name/$people" type=internal policies=calvinverse-person
group=$(bao read -field=id "identity/group/name/$people")
# what the provider tells, and for whom
accessor=$(bao read -field=accessor "sys/auth/$people")
for scope in profile email groups; do
  sed "s|PEOPLE_ACCESSOR|$accessor|" "$trust/openbao-people-$scope.json" | bao write "identity/oidc/scope/$scope" -
done
bao write identity/oidc/key/calvinverse "@$trust/openbao-people-key.json"
bao write "identity/oidc/assignment/$people" group_ids="$group" entity_ids=
for client in web cli; do
  sed "s|EXTERNAL_ADDRESS|$address|" "$trust/openbao-people-$client.json" |
    bao write "identity/oidc/client/calvinverse-$client" -
done
clients=$(bao read -field=client_id identity/oidc/client/calvinverse-web)
clients=$clients,$(bao read -field=client_id identity/oidc/client/calvinverse-cli)
bao write identity/oidc/key/calvinverse "@$trust/openbao-people-key.json" allowed_client_ids="$clients"
bao write identity/oidc/provider/calvinverse issuer="$address" scopes_supported=profile,email,groups \
  allowed_client_ids="$clients"
