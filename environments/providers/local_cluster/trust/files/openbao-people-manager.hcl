# The provisioning service manages people who sign in with OpenBao, and gives none of them a policy.
path "auth/calvinverse-people/users" { capabilities = ["list"] }
path "auth/calvinverse-people/users/" { capabilities = ["list"] }
path "auth/calvinverse-people/users/*" {
  capabilities = ["create", "read", "update"]
  allowed_parameters = { "password" = [], "token_no_default_policy" = [true] }
}
path "auth/calvinverse-people/users/+/+" { capabilities = ["deny"] }
path "auth/calvinverse-people/users/+/password" { capabilities = ["create", "update"] }
path "sys/leases/revoke-prefix/auth/calvinverse-people/login/*" { capabilities = ["update", "sudo"] }
# A login makes the entity. Its aliases and policies can't be changed with this.
path "identity/lookup/entity" { capabilities = ["create", "update"] }
path "identity/entity/id/*" {
  capabilities = ["read", "create", "update"]
  allowed_parameters = { "metadata" = [], "disabled" = [] }
}
path "identity/group/name" { capabilities = ["list"] }
path "identity/group/name/" { capabilities = ["list"] }
path "identity/group/name/calvinverse-people" {
  capabilities = ["read", "update"]
  allowed_parameters = { "member_entity_ids" = [] }
}
path "identity/group/name/calvinverse-people/*" {
  capabilities = ["create", "read", "update", "delete"]
  allowed_parameters = { "member_entity_ids" = [] }
}
path "identity/oidc/client/calvinverse-web" { capabilities = ["read"] }
path "identity/oidc/client/calvinverse-cli" { capabilities = ["read"] }
path "identity/oidc/provider/calvinverse" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
# To find the accessor of the login.
path "sys/auth" { capabilities = ["read"] }
