# The provisioning service.
# Of environments' secrets it sees names, versions and marks, and deletes them whole.
path "secret/metadata/environments" { capabilities = ["list"] }
path "secret/metadata/environments/*" { capabilities = ["create", "read", "update", "delete", "list"] }
# What they say is read and written with a token for one environment's folder: the role gives it one policy.
path "auth/token/create/calvinverse-secrets" { capabilities = ["create", "update"] }
# Keys of what OpenTofu's modules keep: beside the secrets, for jobs read those of their environment.
path "secret/data/modules/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/modules/*" { capabilities = ["create", "read", "update", "delete"] }
# Secrets of webhooks and tokens for forges: no other policy reaches them.
path "secret/data/webhooks/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/webhooks/*" { capabilities = ["create", "read", "update", "delete"] }
path "pki/roles/*" { capabilities = ["create", "read", "update", "delete"] }
path "pki/certs" { capabilities = ["list"] }
path "pki/certs/*" { capabilities = ["list"] }
path "pki/cert/*" { capabilities = ["read"] }
# Certificates of entry points: the edge makes the keys.
path "pki/sign/*" { capabilities = ["create", "update"] }
path "pki/revoke" { capabilities = ["create", "update"] }
# Leases of certificates, to revoke those of an environment all at once.
path "sys/leases/lookup/pki/issue/*" { capabilities = ["list", "sudo"] }
path "sys/leases/revoke-prefix/pki/issue/*" { capabilities = ["update", "sudo"] }
# Tokens and entities of workloads: Nomad revokes neither.
path "auth/token/accessors" { capabilities = ["list", "sudo"] }
path "auth/token/accessors/" { capabilities = ["list", "sudo"] }
path "auth/token/lookup-accessor" { capabilities = ["create", "update"] }
path "auth/token/revoke-accessor" { capabilities = ["create", "update"] }
path "identity/lookup/entity" { capabilities = ["create", "update"] }
path "identity/entity/id/*" { capabilities = ["delete"] }
# Credentials for OpenTofu's modules: the role gives them one policy, for one environment's places.
path "auth/token/create/calvinverse-module" { capabilities = ["create", "update"] }
# To find the accessor of the login.
path "sys/auth" { capabilities = ["read"] }
