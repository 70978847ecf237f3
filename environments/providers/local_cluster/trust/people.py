"""OpenBao as the OpenID provider of people: their login, one group, two clients, and what the service may do with them.

Only the group of people may use the clients. The policy `default` of OpenBao lets every token ask any provider for a
code, so with the assignment `allow_all` jobs could sign in as people.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from environments.providers.backend.calls import Caller
from environments.providers.local_cluster.trust import shipped
from environments.providers.local_cluster.trust.names import (
    OPENBAO_CLI_CLIENT,
    OPENBAO_LOGIN,
    OPENBAO_PEOPLE,
    OPENBAO_PEOPLE_MANAGER,
    OPENBAO_PERSON,
    OPENBAO_PROVIDER,
    OPENBAO_WEB_CLIENT,
)
from environments.providers.local_cluster.trust.setting import TrustSetting, holds, written

LOST = "people can't sign in with OpenBao"

_OIDC = "/v1/identity/oidc"


def people_settings(vault: Caller, external_address: str) -> Iterator[TrustSetting]:
    """All settings. `external_address` is the beginning of the issuer: `https://calvinverse.example.org:8443`.

    A later setting depends on earlier ones: where those are missing it isn't told.
    """
    for setting in _settings(vault, external_address):
        yield replace(setting, lost=LOST)


def _settings(vault: Caller, external_address: str) -> Iterator[TrustSetting]:
    yield _policy(vault, OPENBAO_PERSON, "openbao-person", "the policy of people")
    yield _policy(vault, OPENBAO_PEOPLE_MANAGER, "openbao-people-manager", "the service's policy for people")
    role = shipped.settings("openbao-role-people")
    path = f"/v1/auth/{OPENBAO_LOGIN}/role/{OPENBAO_PEOPLE_MANAGER}"
    yield written(vault, f"the role {OPENBAO_PEOPLE_MANAGER} of the service", path, role)
    yield TrustSetting(
        what=f"the login of people, mounted at {OPENBAO_PEOPLE}",
        caller=vault,
        method="POST",
        path=f"/v1/sys/auth/{OPENBAO_PEOPLE}",
        body={"type": "userpass"},
        present=lambda: _accessor(vault) is not None,
    )
    tuned = shipped.settings("openbao-people-login")
    yield TrustSetting(
        what=f"the time limits of the login {OPENBAO_PEOPLE}",
        caller=vault,
        method="POST",
        path=f"/v1/sys/auth/{OPENBAO_PEOPLE}/tune",
        body=tuned,
        present=lambda: holds(_as_told(tuned), (vault.get(f"/v1/sys/auth/{OPENBAO_PEOPLE}/tune") or {}).get("data")),
    )
    group = f"/v1/identity/group/name/{OPENBAO_PEOPLE}"
    yield written(vault, f"the group {OPENBAO_PEOPLE}", group, {"type": "internal", "policies": [OPENBAO_PERSON]})
    yield from _scopes(vault)
    yield from _provider(vault, external_address)


def _scopes(vault: Caller) -> Iterator[TrustSetting]:
    accessor = _accessor(vault)
    if accessor is None:  # its absence has been reported
        return
    for name in ("openbao-people-profile", "openbao-people-email", "openbao-people-groups"):
        scope = name.rpartition("-")[2]
        body = shipped.settings(name, PEOPLE_ACCESSOR=accessor)
        yield written(vault, f"the scope {scope}", f"{_OIDC}/scope/{scope}", body)


def _provider(vault: Caller, external_address: str) -> Iterator[TrustSetting]:
    key = shipped.settings("openbao-people-key")
    yield written(vault, f"the key {OPENBAO_PROVIDER} of the provider", f"{_OIDC}/key/{OPENBAO_PROVIDER}", key)
    group = vault.get(f"/v1/identity/group/name/{OPENBAO_PEOPLE}")
    if group is None:
        return
    assigned = {"group_ids": [group["data"]["id"]], "entity_ids": []}
    path = f"{_OIDC}/assignment/{OPENBAO_PEOPLE}"
    yield written(vault, f"the assignment {OPENBAO_PEOPLE}, for that group alone", path, assigned)
    clients = {OPENBAO_WEB_CLIENT: "openbao-people-web", OPENBAO_CLI_CLIENT: "openbao-people-cli"}
    for name, file in clients.items():
        body = shipped.settings(file, EXTERNAL_ADDRESS=external_address)
        yield written(vault, f"the client {name}", f"{_OIDC}/client/{name}", body)
    found = [vault.get(f"{_OIDC}/client/{name}") for name in clients]
    if None in found:
        return
    ids = [client["data"]["client_id"] for client in found]
    only = {**key, "allowed_client_ids": ids}
    what = f"the use of the key {OPENBAO_PROVIDER} by these clients alone"
    yield written(vault, what, f"{_OIDC}/key/{OPENBAO_PROVIDER}", only)
    provider = f"{_OIDC}/provider/{OPENBAO_PROVIDER}"
    scopes = {"scopes_supported": ["profile", "email", "groups"], "allowed_client_ids": ids}
    yield TrustSetting(
        what=f"the provider {OPENBAO_PROVIDER} at {external_address}",
        caller=vault,
        method="POST",
        path=provider,
        body={"issuer": external_address, **scopes},
        present=lambda: holds(
            {"issuer": f"{external_address}{provider}", **scopes}, (vault.get(provider) or {}).get("data")
        ),
    )


def _as_told(tuned: dict[str, Any]) -> dict[str, int]:
    """The settings of a login as OpenBao tells them: seconds and numbers, in one table."""
    lockout = {f"user_{name}": value for name, value in tuned["user_lockout_config"].items()}
    told = {name: value for name, value in (tuned | lockout).items() if isinstance(value, str)}
    return {name: int(value.rstrip("s")) for name, value in told.items()}


def _accessor(vault: Caller) -> str | None:
    mount = vault.call("GET", "/v1/sys/auth").get(f"{OPENBAO_PEOPLE}/")
    return str(mount["accessor"]) if mount and mount["type"] == "userpass" else None


def _policy(vault: Caller, name: str, file: str, what: str) -> TrustSetting:
    path, body = f"/v1/sys/policies/acl/{name}", {"policy": shipped.policy(file)}
    return replace(written(vault, f"{what} ({name})", path, body), method="PUT")
