# The service works with the secrets of the one environment that the token was made for.
path "secret/data/environments/{{identity.entity.aliases.TOKEN_ACCESSOR.name}}/*" { capabilities = ["create", "read", "update"] }
