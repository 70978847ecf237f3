# An OpenTofu module works with the secrets of its own environment, and gets certificates from its role.
path "secret/data/environments/{{identity.entity.aliases.TOKEN_ACCESSOR.name}}/*" { capabilities = ["create", "read", "update", "patch", "delete"] }
path "secret/metadata/environments/{{identity.entity.aliases.TOKEN_ACCESSOR.name}}/*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}
path "secret/delete/environments/{{identity.entity.aliases.TOKEN_ACCESSOR.name}}/*" { capabilities = ["update"] }
path "secret/destroy/environments/{{identity.entity.aliases.TOKEN_ACCESSOR.name}}/*" { capabilities = ["update"] }
path "pki/issue/{{identity.entity.aliases.TOKEN_ACCESSOR.name}}" { capabilities = ["create", "update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
