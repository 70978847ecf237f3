"""What stands on a cluster for Calvinverse, as the vendors' own calls tell it: to compare two ways of making it."""

import json
from collections.abc import Iterator
from typing import Any

from environments.providers.backend.calls import Caller
from environments.providers.backend.connections import Connections

_CONSUL_METHODS = ("nomad-workloads", "calvinverse-manager")
_POLICIES = ("environment", "service", "ui", "secrets", "module")
_CHANGING = frozenset(
    {
        *("CreateIndex", "CreateTime", "Hash", "ID", "JobModifyIndex", "ModifyIndex", "ModifyTime"),
        *("NomadTokenID", "Stable", "Status", "SubmitTime", "Version"),
    }
)
"""Fields that say when something was made, or what the backend chose for it."""


def rights(connections: Connections) -> dict[str, Any]:
    """Policies, logins, roles and mounts: kind and name → content."""
    return {**_of_consul(connections), **_of_openbao(connections), **_of_nomad(connections)}


def meta(connections: Connections) -> dict[str, Any]:
    """The meta environment: its namespace, jobs, services, secrets (lengths only), role and policy."""
    nomad, consul, vault = (connections.caller(part) for part in ("nomad", "consul", "vault"))
    secrets = vault.call("GET", "/v1/secret/metadata/environments/meta?list=true")["data"]["keys"]
    role = vault.call("GET", "/v1/pki/roles/meta")["data"]
    policy = consul.call("GET", "/v1/acl/policy/name/env-meta")
    return {
        "namespace": nomad.call("GET", "/v1/namespace/meta")["Description"],
        "jobs": {
            stub["ID"]: _steady(nomad.call("GET", f"/v1/job/{stub['ID']}?namespace=meta"))
            for stub in nomad.call("GET", "/v1/jobs?namespace=meta")
        },
        "services": {
            name: sorted(check["Status"] for check in consul.call("GET", f"/v1/health/checks/{name}"))
            for name in consul.call("GET", "/v1/catalog/services")
            if name.startswith("meta--")
        },
        "secrets": {
            name: {key: len(value) for key, value in _secret(vault, name).items()}
            for name in secrets
            if not name.startswith(".")
        },
        "pki role": role,
        "consul policy": json.loads(policy["Rules"]),
    }


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two of these differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{path}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{path}/{number}")
    elif one != other:
        yield f"{path}: {one!r}, {other!r}"


def _of_consul(connections: Connections) -> dict[str, Any]:
    consul = connections.caller("consul")
    rules = consul.call("GET", "/v1/acl/binding-rules")
    return {
        "consul methods": {
            name: _steady(consul.call("GET", f"/v1/acl/auth-method/{name}")) for name in _CONSUL_METHODS
        },
        "consul rules": sorted((_steady(rule) for rule in rules), key=str),
        "consul policy": _steady(consul.call("GET", "/v1/acl/policy/name/calvinverse-manager")),
    }


def _of_nomad(connections: Connections) -> dict[str, Any]:
    nomad = connections.caller("nomad")
    rules = nomad.call("GET", "/v1/acl/binding-rules")
    return {
        "nomad method": _steady(nomad.call("GET", "/v1/acl/auth-method/nomad-manager")),
        "nomad rules": [_steady(nomad.call("GET", f"/v1/acl/binding-rule/{rule['ID']}")) for rule in rules],
    }


def _of_openbao(connections: Connections) -> dict[str, Any]:
    vault = connections.caller("vault")
    mounts, logins = vault.call("GET", "/v1/sys/mounts"), vault.call("GET", "/v1/sys/auth")
    accessors = {logins[f"{path}/"]["accessor"]: path for path in ("jwt-nomad", "token")}
    paths = {
        "login": "auth/jwt-nomad/config",
        "role of jobs": "auth/jwt-nomad/role/environment",
        "role of the service": "auth/jwt-nomad/role/calvinverse-manager",
        "role of the web page": "auth/jwt-nomad/role/calvinverse-ui",
        "role of parts": "pki-parts/roles/meta",
        "role of the web page's certificate": "pki-parts/roles/meta--ui",
        "tokens for secrets": "auth/token/roles/calvinverse-secrets",
        "tokens for modules": "auth/token/roles/calvinverse-module",
    }
    key = vault.call("GET", "/v1/transit/keys/calvinverse-images")["data"]
    return {
        "openbao mounts": {
            path: (mounts[f"{path}/"]["type"], mounts[f"{path}/"]["options"] or {})
            for path in ("secret", "pki", "pki-parts", "transit")
        },
        "openbao policies": {name: _policy(vault, name, accessors) for name in _POLICIES},
        "openbao signing key": {name: key[name] for name in ("type", "exportable", "allow_plaintext_backup")},
        **{f"openbao {name}": vault.call("GET", f"/v1/{path}")["data"] for name, path in paths.items()},
    }


def _policy(vault: Caller, name: str, accessors: dict[str, str]) -> str:
    text = str(vault.call("GET", f"/v1/sys/policies/acl/calvinverse-{name}")["data"]["policy"])
    for accessor, path in accessors.items():
        text = text.replace(accessor, f"<{path}>")
    return text


def _secret(vault: Caller, name: str) -> dict[str, str]:
    found: dict[str, str] = vault.call("GET", f"/v1/secret/data/environments/meta/{name}")["data"]["data"]
    return found


def _steady(found: dict[str, Any]) -> dict[str, Any]:
    """Without what the backend chooses."""
    return {key: value for key, value in found.items() if key not in _CHANGING}
