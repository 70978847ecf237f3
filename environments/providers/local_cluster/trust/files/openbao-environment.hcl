# A workload reads the secrets of its own environment, and has certificates issued by its role.
# In the mount of the parts only the meta environment has a role.
path "secret/data/environments/{{identity.entity.aliases.JWT_ACCESSOR.metadata.nomad_namespace}}/*" { capabilities = ["read"] }
path "secret/metadata/environments/{{identity.entity.aliases.JWT_ACCESSOR.metadata.nomad_namespace}}/*" { capabilities = ["read", "list"] }
path "pki/issue/{{identity.entity.aliases.JWT_ACCESSOR.metadata.nomad_namespace}}" { capabilities = ["create", "update"] }
path "pki-parts/issue/{{identity.entity.aliases.JWT_ACCESSOR.metadata.nomad_namespace}}" { capabilities = ["create", "update"] }
