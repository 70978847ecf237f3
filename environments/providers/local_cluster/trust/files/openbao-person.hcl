# What a person's login at OpenBao is good for: a code of the provider, and its own end.
path "identity/oidc/provider/calvinverse/authorize" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
