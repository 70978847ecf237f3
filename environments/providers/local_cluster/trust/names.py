"""Names on which the parts of a cluster and our job files agree."""

MANAGER_NAMESPACE = "meta"
MANAGER_JOB = "provisioning"
"""The one job that may act as the provisioning service, and its namespace."""

CONSUL_AUDIENCE = "consul.io"
CONSUL_WORKLOADS = "nomad-workloads"
CONSUL_MANAGER = "calvinverse-manager"
"""Auth method and policy of the service in Consul."""

OPENBAO_AUDIENCE = "vault.io"
OPENBAO_LOGIN = "jwt-nomad"
"""Path of the auth mount for workloads of Nomad."""
OPENBAO_WORKLOADS = "environment"
"""Role of workloads."""
OPENBAO_WORKLOADS_POLICY = "calvinverse-environment"
OPENBAO_MANAGER = "calvinverse-manager"
"""Role of the service in OpenBao."""
OPENBAO_MANAGER_POLICY = "calvinverse-service"
"""Its policy. It isn't named like the role: a service of the version before goes on with the policy of that name, until
it is replaced."""
UI_JOB = "ui"
"""The job of the web page, in the same namespace."""
OPENBAO_UI = "calvinverse-ui"
"""Its role in OpenBao, and its policy: it may have its certificate issued, and nothing else."""
OPENBAO_SECRETS = "calvinverse-secrets"
"""Policy of the tokens with which the service reads and writes the secrets of one environment, and the role that makes
them."""
OPENBAO_MODULES = "calvinverse-module"
"""Policy of the credentials that OpenTofu's modules are issued, and the role that makes them."""
OPENBAO_SIGNING = "transit"
OPENBAO_SIGNING_KEY = "calvinverse-images"
"""Mount and name of the key that signs images; `images.catalogue.transit` uses it."""

OPENBAO_PARTS = "pki-parts"
"""Mount that issues certificates for the parts below; `jobs/meta` uses it, and `environments.providers.vault`."""
PART_NAMES = {
    "provisioning": "provisioning.calvinverse.internal",
    "worker": "worker.calvinverse.internal",
    "postgres": "postgres.calvinverse.internal",
}
"""The name in each part's certificate. Nobody resolves it: clients connect to an address, and check this name."""
OPENBAO_PARTS_UI = "meta--ui"
"""Role of that mount for the web page. No environment can have this name: jobs use the role of their environment's."""
UI_NAME = "ui.calvinverse.internal"
"""The name in the web page's certificate, which no other job of `meta` gets."""

NOMAD_MANAGER = "nomad-manager"
"""Auth method of the service in Nomad, and the audience of its identity."""

OPENBAO_PEOPLE = "calvinverse-people"
"""Mount of the login of people, their group in OpenBao, and the assignment that lets that group use the clients. Groups
of people below it are named `calvinverse-people/NAME`."""
OPENBAO_PERSON = "calvinverse-person"
"""Policy of that group."""
OPENBAO_PEOPLE_MANAGER = "calvinverse-people-manager"
"""Role and policy with which the service manages people."""
OPENBAO_PROVIDER = "calvinverse"
"""OpenID provider, and the key with which it signs."""
OPENBAO_WEB_CLIENT = "calvinverse-web"
OPENBAO_CLI_CLIENT = "calvinverse-cli"
