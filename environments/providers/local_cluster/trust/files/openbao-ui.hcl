# The web page has its certificate issued, and nothing else: no secret, and no other name.
path "pki-parts/issue/meta--ui" { capabilities = ["create", "update"] }
# Nomad renews the token with which it does that.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
