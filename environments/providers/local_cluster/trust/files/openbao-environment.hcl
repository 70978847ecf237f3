# A workload reads the secrets of its own environment, and has certificates issued by its role.
path "secret/data/environments/{{identity.entity.aliases.JWT_ACCESSOR.metadata.nomad_namespace}}/*" { capabilities = ["read"] }
path "secret/metadata/environments/{{identity.entity.aliases.JWT_ACCESSOR.metadata.nomad_namespace}}/*" { capabilities = ["read", "list"] }
path "pki/issue/{{identity.entity.aliases.JWT_ACCESSOR.metadata.nomad_namespace}}" { capabilities = ["create", "update"] }
