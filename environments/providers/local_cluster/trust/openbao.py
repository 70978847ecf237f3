"""OpenBao: one templated policy serves all environments, and the service gets only the rights that it needs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from environments.providers.backend.calls import Caller
from environments.providers.local_cluster.trust.names import (
    MANAGER_JOB,
    MANAGER_NAMESPACE,
    OPENBAO_AUDIENCE,
    OPENBAO_LOGIN,
    OPENBAO_MANAGER,
    OPENBAO_MANAGER_POLICY,
    OPENBAO_MODULES,
    OPENBAO_SECRETS,
    OPENBAO_SIGNING,
    OPENBAO_SIGNING_KEY,
    OPENBAO_WORKLOADS,
    OPENBAO_WORKLOADS_POLICY,
)
from environments.providers.local_cluster.trust.setting import TrustSetting, holds

_MANAGER_RULES = """# The provisioning service.
# Of environments' secrets it sees names, versions and marks, and deletes them whole.
path "secret/metadata/environments" { capabilities = ["list"] }
path "secret/metadata/environments/*" { capabilities = ["create", "read", "update", "delete", "list"] }
# What they say is read and written with a token for one environment's folder: the role gives it one policy.
path "auth/token/create/calvinverse-secrets" { capabilities = ["create", "update"] }
# Keys of what OpenTofu's modules keep: beside the secrets, for jobs read those of their environment.
path "secret/data/modules/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/modules/*" { capabilities = ["create", "read", "update", "delete"] }
path "pki/roles/*" { capabilities = ["create", "read", "update", "delete"] }
path "pki/certs" { capabilities = ["list"] }
path "pki/certs/*" { capabilities = ["list"] }
path "pki/cert/*" { capabilities = ["read"] }
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
"""

_UNSIGNED = "images that are made here stay unsigned"
_UNLENT = "modules get no credentials of OpenBao"


def openbao_settings(vault: Caller, jwks_url: str) -> Iterator[TrustSetting]:
    """All settings of OpenBao or Vault."""
    yield _mount(vault, "secret", {"type": "kv", "options": {"version": "2"}}, "the KV store (version 2) for secrets")
    yield _mount(vault, "pki", {"type": "pki"}, "the mount for certificates")
    yield TrustSetting(
        what="a CA in the mount for certificates",
        caller=vault,
        method="POST",
        path="/v1/pki/root/generate/internal",
        body={"common_name": "Calvinverse CA", "ttl": "87600h"},
        present=lambda: bool((vault.get("/v1/pki/issuers?list=true") or {}).get("data", {}).get("keys")),
    )
    yield _login(vault)
    config = {"jwks_url": jwks_url, "jwt_supported_algs": ["RS256"], "default_role": OPENBAO_WORKLOADS}
    yield _written(vault, "the keys of Nomad", f"/v1/auth/{OPENBAO_LOGIN}/config", config)
    accessor = _accessor(vault)
    if accessor is not None:  # else its absence has been reported already
        rules = _workload_rules(accessor)
        yield _policy(vault, OPENBAO_WORKLOADS_POLICY, rules, "the one policy of all environments")
    # The entity must be the environment's: by the job's name, jobs of two environments would share one and its rights.
    workloads = {
        "role_type": "jwt",
        "bound_audiences": [OPENBAO_AUDIENCE],
        "user_claim": "nomad_namespace",
        "claim_mappings": {"nomad_namespace": "nomad_namespace"},
        "token_type": "service",
        "token_policies": [OPENBAO_WORKLOADS_POLICY],
        "token_period": 1800,
    }
    path = f"/v1/auth/{OPENBAO_LOGIN}/role"
    yield _written(vault, f"the role {OPENBAO_WORKLOADS} of workloads", f"{path}/{OPENBAO_WORKLOADS}", workloads)
    yield from _modules(vault)
    yield from _secrets(vault)
    yield _policy(vault, OPENBAO_MANAGER_POLICY, _MANAGER_RULES, "the policy of the provisioning service")
    # `sub` contains colons, so this entity is never that of an environment.
    manager = {
        "role_type": "jwt",
        "bound_audiences": [OPENBAO_AUDIENCE],
        "bound_claims": {"nomad_namespace": MANAGER_NAMESPACE, "nomad_job_id": MANAGER_JOB},
        "user_claim": "sub",
        "token_type": "service",
        "token_policies": [OPENBAO_MANAGER_POLICY],
        "token_ttl": 3600,
        "token_max_ttl": 3600,
    }
    yield _written(vault, f"the role {OPENBAO_MANAGER} of the service", f"{path}/{OPENBAO_MANAGER}", manager)
    signing = _mount(vault, OPENBAO_SIGNING, {"type": "transit"}, "the transit engine that signs images")
    yield replace(signing, lost=_UNSIGNED)
    # It can't be exported or copied: each signature is a call of OpenBao.
    key = {"type": "ed25519", "exportable": False, "allow_plaintext_backup": False}
    path = f"/v1/{OPENBAO_SIGNING}/keys/{OPENBAO_SIGNING_KEY}"
    yield replace(_written(vault, f"the key {OPENBAO_SIGNING_KEY} that signs images", path, key), lost=_UNSIGNED)


def _workload_rules(accessor: str) -> str:
    environment = "{{identity.entity.aliases.%s.metadata.nomad_namespace}}" % accessor  # noqa: UP031 - braces are OpenBao's
    return f"""# A workload reads the secrets of its own environment, and has certificates issued by its role.
path "secret/data/environments/{environment}/*" {{ capabilities = ["read"] }}
path "secret/metadata/environments/{environment}/*" {{ capabilities = ["read", "list"] }}
path "pki/issue/{environment}" {{ capabilities = ["create", "update"] }}
"""


def _named_by_token(vault: Caller) -> str:
    """In a policy: the name of the environment that a token was made for."""
    accessor = _accessor(vault, "token")
    assert accessor is not None, "OpenBao always has its own tokens"
    return "{{identity.entity.aliases.%s.name}}" % accessor  # noqa: UP031 - braces are OpenBao's


def _lending(policy: str, seconds: int) -> dict[str, Any]:
    """A role that makes tokens with that policy and no other, for whichever environment."""
    return {
        "allowed_policies": [policy],
        "allowed_entity_aliases": ["*"],
        # The service's own token is replaced within an hour, and its child tokens would be revoked with it.
        "orphan": True,
        "renewable": False,
        "token_type": "service",
        "token_no_default_policy": True,
        "token_explicit_max_ttl": seconds,
    }


def _secrets(vault: Caller) -> Iterator[TrustSetting]:
    """How the service reads and writes an environment's secrets: one policy, and a role that makes its tokens."""
    environment = _named_by_token(vault)
    rules = f"""# The service works with the secrets of the one environment that the token was made for.
path "secret/data/environments/{environment}/*" {{ capabilities = ["create", "read", "update"] }}
"""
    yield _policy(vault, OPENBAO_SECRETS, rules, "the policy for the secrets of one environment")
    path = f"/v1/auth/token/roles/{OPENBAO_SECRETS}"
    what = f"the role {OPENBAO_SECRETS} for the secrets of one environment"
    yield _written(vault, what, path, _lending(OPENBAO_SECRETS, 60))


def _modules(vault: Caller) -> Iterator[TrustSetting]:
    """The credentials of modules: one policy, and a role that can make tokens with no other one."""
    environment = _named_by_token(vault)
    rules = f"""# An OpenTofu module works with the secrets of its own environment, and gets certificates from its role.
path "secret/data/environments/{environment}/*" {{ capabilities = ["create", "read", "update", "patch", "delete"] }}
path "secret/metadata/environments/{environment}/*" {{
  capabilities = ["create", "read", "update", "patch", "delete", "list"]
}}
path "secret/delete/environments/{environment}/*" {{ capabilities = ["update"] }}
path "secret/destroy/environments/{environment}/*" {{ capabilities = ["update"] }}
path "pki/issue/{environment}" {{ capabilities = ["create", "update"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
"""
    yield replace(_policy(vault, OPENBAO_MODULES, rules, "the one policy of modules"), lost=_UNLENT)
    role = _lending(OPENBAO_MODULES, 3600)
    path = f"/v1/auth/token/roles/{OPENBAO_MODULES}"
    yield replace(_written(vault, f"the role {OPENBAO_MODULES} of modules", path, role), lost=_UNLENT)


def _accessor(vault: Caller, path: str = OPENBAO_LOGIN) -> str | None:
    mounts = vault.call("GET", "/v1/sys/auth")
    mount = mounts.get(f"{path}/")
    return str(mount["accessor"]) if mount else None


def _mount(vault: Caller, path: str, body: dict[str, Any], what: str) -> TrustSetting:
    return TrustSetting(
        what=f"{what}, mounted at {path}",
        caller=vault,
        method="POST",
        path=f"/v1/sys/mounts/{path}",
        body=body,
        present=lambda: holds(body, vault.call("GET", "/v1/sys/mounts").get(f"{path}/")),
    )


def _login(vault: Caller) -> TrustSetting:
    return TrustSetting(
        what=f"the login for workloads, mounted at {OPENBAO_LOGIN}",
        caller=vault,
        method="POST",
        path=f"/v1/sys/auth/{OPENBAO_LOGIN}",
        body={"type": "jwt"},
        present=lambda: _accessor(vault) is not None,
    )


def _written(vault: Caller, what: str, path: str, body: dict[str, Any]) -> TrustSetting:
    return TrustSetting(
        what=what,
        caller=vault,
        method="POST",
        path=path,
        body=body,
        present=lambda: holds(body, (vault.get(path) or {}).get("data")),
    )


def _policy(vault: Caller, name: str, rules: str, what: str) -> TrustSetting:
    path = f"/v1/sys/policies/acl/{name}"
    return TrustSetting(
        what=f"{what} ({name})",
        caller=vault,
        method="PUT",
        path=path,
        body={"policy": rules},
        present=lambda: holds({"policy": rules}, (vault.get(path) or {}).get("data")),
    )
