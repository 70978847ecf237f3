"""OpenBao: one templated policy serves all environments, and the service gets only the rights that it needs."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from environments.providers.backend.calls import Caller
from environments.providers.local_cluster.trust import shipped
from environments.providers.local_cluster.trust.names import (
    OPENBAO_LOGIN,
    OPENBAO_MANAGER,
    OPENBAO_MANAGER_POLICY,
    OPENBAO_MODULES,
    OPENBAO_SECRETS,
    OPENBAO_SIGNING,
    OPENBAO_SIGNING_KEY,
    OPENBAO_UI,
    OPENBAO_WORKLOADS,
    OPENBAO_WORKLOADS_POLICY,
)
from environments.providers.local_cluster.trust.parts import SigningAuthority, parts_settings
from environments.providers.local_cluster.trust.setting import NomadKeys, TrustSetting, holds, written

_UNSIGNED = "images that are made here stay unsigned"
_UNLENT = "modules get no credentials of OpenBao"


def openbao_settings(
    vault: Caller, keys: NomadKeys, signer: SigningAuthority | None, now: datetime
) -> Iterator[TrustSetting]:
    """All settings of OpenBao or Vault; see `parts_settings`."""
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
    yield from parts_settings(vault, signer, now)
    yield _login(vault)
    path = f"/v1/auth/{OPENBAO_LOGIN}/config"
    config = written(vault, "the keys of Nomad", path, shipped.login("openbao-login", NomadKeys(keys.url)))
    # Whether it needs the authority, or its machine has it, is seen when it uses the keys.
    yield replace(config, body=shipped.login("openbao-login", keys))
    accessor = _accessor(vault)
    if accessor is not None:  # else its absence has been reported already
        rules = shipped.policy("openbao-environment", JWT_ACCESSOR=accessor)
        yield _policy(vault, OPENBAO_WORKLOADS_POLICY, rules, "the one policy of all environments")
    # The entity must be the environment's: by the job's name, jobs of two environments would share one and its rights.
    workloads = shipped.settings("openbao-role-environment")
    path = f"/v1/auth/{OPENBAO_LOGIN}/role"
    yield written(vault, f"the role {OPENBAO_WORKLOADS} of workloads", f"{path}/{OPENBAO_WORKLOADS}", workloads)
    yield from _modules(vault)
    yield from _secrets(vault)
    rules = shipped.policy("openbao-service")
    yield _policy(vault, OPENBAO_MANAGER_POLICY, rules, "the policy of the provisioning service")
    # `sub` contains colons, so this entity is never that of an environment.
    manager = shipped.settings("openbao-role-service")
    yield written(vault, f"the role {OPENBAO_MANAGER} of the service", f"{path}/{OPENBAO_MANAGER}", manager)
    yield _policy(vault, OPENBAO_UI, shipped.policy("openbao-ui"), "the policy of the web page")
    page = shipped.settings("openbao-role-ui")
    yield written(vault, f"the role {OPENBAO_UI} of the web page", f"{path}/{OPENBAO_UI}", page)
    signing = _mount(vault, OPENBAO_SIGNING, {"type": "transit"}, "the transit engine that signs images")
    yield replace(signing, lost=_UNSIGNED)
    # It can't be exported or copied: each signature is a call of OpenBao.
    key = shipped.settings("openbao-signing-key")
    path = f"/v1/{OPENBAO_SIGNING}/keys/{OPENBAO_SIGNING_KEY}"
    yield replace(written(vault, f"the key {OPENBAO_SIGNING_KEY} that signs images", path, key), lost=_UNSIGNED)


def _secrets(vault: Caller) -> Iterator[TrustSetting]:
    """How the service reads and writes an environment's secrets: one policy, and a role that makes its tokens.

    The tokens are orphans: the service's own token is replaced within an hour, and its child tokens would be revoked
    with it.
    """
    rules = shipped.policy("openbao-secrets", TOKEN_ACCESSOR=_token_accessor(vault))
    yield _policy(vault, OPENBAO_SECRETS, rules, "the policy for the secrets of one environment")
    path = f"/v1/auth/token/roles/{OPENBAO_SECRETS}"
    what = f"the role {OPENBAO_SECRETS} for the secrets of one environment"
    yield written(vault, what, path, shipped.settings("openbao-tokens-secrets"))


def _modules(vault: Caller) -> Iterator[TrustSetting]:
    """The credentials of modules: one policy, and a role that can make tokens with no other one; orphans, as above."""
    rules = shipped.policy("openbao-module", TOKEN_ACCESSOR=_token_accessor(vault))
    yield replace(_policy(vault, OPENBAO_MODULES, rules, "the one policy of modules"), lost=_UNLENT)
    path = f"/v1/auth/token/roles/{OPENBAO_MODULES}"
    role = shipped.settings("openbao-tokens-module")
    yield replace(written(vault, f"the role {OPENBAO_MODULES} of modules", path, role), lost=_UNLENT)


def _token_accessor(vault: Caller) -> str:
    accessor = _accessor(vault, "token")
    assert accessor is not None, "OpenBao always has its own tokens"
    return accessor


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
