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
"""Role and policy of the service in OpenBao."""

NOMAD_MANAGER = "nomad-manager"
"""Auth method of the service in Nomad, and the audience of its identity."""

DATA_VOLUME = "calvinverse-data"
"""Nomad's name of the host volume for the service's database."""
