"""The client of OpenBao for people.

The service logs in for this with a role of its own: the token that it uses for environments can't manage people.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import requests

from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable
from environments.providers.backend.bounded import AnswerTooLarge, bounded_session, trusting
from environments.providers.backend.calls import Caller, FixedToken
from environments.providers.backend.connections import Connections, Endpoint, JwtLogin, caller_at, token_source
from environments.providers.local_cluster.trust.names import (
    OPENBAO_CLI_CLIENT,
    OPENBAO_PEOPLE,
    OPENBAO_PEOPLE_MANAGER,
    OPENBAO_PROVIDER,
    OPENBAO_WEB_CLIENT,
)
from environments.providers.openbao_people.ports import Code, Entity, Login, OidcClient
from environments.service.built_in_provider import Passed

_LOGIN = f"/v1/auth/{OPENBAO_PEOPLE}"
_GROUPS = "/v1/identity/group/name"
_PROVIDER = f"/v1/identity/oidc/provider/{OPENBAO_PROVIDER}"
_SECONDS = 10.0
_LARGEST_PASSED = 256 * 1024

NOT_SET_UP = "OpenBao isn't set up for signing in."
NOT_SET_UP_HINT = "Run `doit deploy`; on a cluster of your own, see docs/how-to/people.md."


@dataclass(frozen=True)
class _Reached:
    """An OpenBao at one endpoint: as the manager of people, as nobody, and for what is passed on."""

    endpoint: Endpoint
    manager: Caller
    nobody: Caller
    session: requests.Session


class OpenBaoPeople:
    """Implements `PeopleCalls`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._connections = connections
        self._kept: _Reached | None = None

    def users(self) -> list[str]:
        found = self._manager("GET", f"{_LOGIN}/users?list=true", missing_ok=True)
        return sorted(found["data"]["keys"]) if found else []

    def set_user(self, user: str, password: str) -> None:
        self._manager("POST", _user(user), {"password": password, "token_no_default_policy": True})

    def log_in(self, user: str, password: str) -> Login | None:
        try:
            answer = self._reach().nobody.call("POST", f"{_LOGIN}/login/{quote(user, safe='')}", {"password": password})
        except BackendError as error:
            if error.details.get("status") in (400, 403):
                return None
            raise
        return Login(answer["auth"]["entity_id"], answer["auth"]["client_token"])

    def entities(self, users: Sequence[str]) -> dict[str, Entity]:
        mount = self._manager("GET", "/v1/sys/auth").get(f"{OPENBAO_PEOPLE}/")
        if mount is None:
            raise BackendDenied(NOT_SET_UP, hint=NOT_SET_UP_HINT)
        found = {}
        for user in users:
            asked = {"alias_name": user, "alias_mount_accessor": mount["accessor"]}
            entity = _entity(self._manager("POST", "/v1/identity/lookup/entity", asked))
            if entity is not None:
                found[user] = entity
        return found

    def entity(self, id: str) -> Entity | None:
        return _entity(self._manager("GET", f"/v1/identity/entity/id/{quote(id, safe='')}", missing_ok=True))

    def change_entity(
        self, id: str, *, metadata: Mapping[str, str] | None = None, disabled: bool | None = None
    ) -> None:
        changes: dict[str, Any] = {} if metadata is None else {"metadata": dict(metadata)}
        if disabled is not None:
            changes["disabled"] = disabled
        self._manager("POST", f"/v1/identity/entity/id/{quote(id, safe='')}", changes)

    def groups(self) -> dict[str, tuple[str, ...]]:
        found = self._manager("GET", f"{_GROUPS}?list=true", missing_ok=True)
        names = [name for name in (found["data"]["keys"] if found else ()) if _is_ours(name)]
        read = {name: self._manager("GET", f"{_GROUPS}/{quote(name)}", missing_ok=True) for name in names}
        return {
            name.removeprefix(OPENBAO_PEOPLE).removeprefix("/"): tuple(group["data"]["member_entity_ids"] or ())
            for name, group in read.items()
            if group
        }

    def set_members(self, group: str, ids: Sequence[str]) -> None:
        name = f"{OPENBAO_PEOPLE}/{group}" if group else OPENBAO_PEOPLE
        self._manager("POST", f"{_GROUPS}/{quote(name)}", {"member_entity_ids": list(ids)})

    def end_logins(self, user: str) -> None:
        self._manager("POST", f"/v1/sys/leases/revoke-prefix/auth/{OPENBAO_PEOPLE}/login/{quote(user, safe='')}", {})

    def revoke(self, token: str) -> None:
        self._as(token).call("POST", "/v1/auth/token/revoke-self")

    def authorize(self, token: str, request: Mapping[str, str]) -> Code:
        path = f"{_PROVIDER}/authorize?{urlencode(request)}"
        response = self._send("GET", path, {"X-Vault-Token": token}, None)
        try:
            answer = json.loads(response.content)
            told = {name: answer.get(name, "") for name in ("code", "error")}
        except (ValueError, RecursionError, AttributeError):
            told = {}
        if response.status_code == 200 and told.get("code"):
            return Code(code=str(told["code"]))
        if response.status_code >= 500:
            raise BackendUnavailable(f"OpenBao answered {response.status_code} to a request for authorization.")
        return Code(error=str(told.get("error") or "access_denied"))

    def issuer(self) -> str:
        found = self._manager("GET", _PROVIDER, missing_ok=True)
        if found is None:
            raise BackendDenied(NOT_SET_UP, hint=NOT_SET_UP_HINT)
        return str(found["data"]["issuer"])

    def web_client(self) -> OidcClient:
        return self._client(OPENBAO_WEB_CLIENT)

    def cli_client(self) -> OidcClient:
        return self._client(OPENBAO_CLI_CLIENT)

    def pass_on(self, method: str, endpoint: str, *, body: bytes, content_type: str, authorization: str) -> Passed:
        headers = {"Authorization": authorization} if authorization else {}
        if body:
            headers["Content-Type"] = content_type
        response = self._send(method, f"{_PROVIDER}/{endpoint}", headers, body or None)
        return Passed(
            response.status_code, response.headers.get("Content-Type", "application/json"), response.content or b""
        )

    def _client(self, name: str) -> OidcClient:
        found = self._manager("GET", f"/v1/identity/oidc/client/{name}", missing_ok=True)
        if found is None:
            raise BackendDenied(NOT_SET_UP, hint=NOT_SET_UP_HINT)
        data = found["data"]
        return OidcClient(data["client_id"], tuple(data["redirect_uris"] or ()), data.get("client_secret", ""))

    def _manager(self, method: str, path: str, body: Any = None, *, missing_ok: bool = False) -> Any:
        try:
            return self._reach().manager.call(method, path, body, missing_ok=missing_ok)
        except BackendUnavailable:
            raise
        except BackendError as error:
            # The role, the mount or the policy is missing: an OpenBao of others, or one of an earlier version.
            if error.details.get("status") in (400, 403, 404) and "/login" in str(error.details.get("path")):
                raise BackendDenied(NOT_SET_UP, hint=NOT_SET_UP_HINT, details=error.details) from error
            raise

    def _as(self, token: str) -> Caller:
        return caller_at(self._reach().endpoint, "vault", FixedToken(token), timeout=_SECONDS)

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> requests.Response:
        reached = self._reach()
        try:
            return reached.session.request(method, reached.endpoint.address + path, data=body, headers=dict(headers))
        except requests.Timeout as error:
            raise BackendUnavailable("OpenBao didn't answer in time.") from error
        except AnswerTooLarge as error:
            raise BackendError("OpenBao's answer is too large.") from error
        except requests.RequestException as error:
            raise BackendUnavailable("OpenBao can't be reached.") from error

    def _reach(self) -> _Reached:
        endpoint = self._connections().endpoint("vault")
        kept = self._kept
        if kept is None or kept.endpoint != endpoint:
            kept = self._kept = _reach(endpoint)
        return kept


def _reach(endpoint: Endpoint) -> _Reached:
    login = endpoint.authentication
    if isinstance(login, JwtLogin):
        login = login.model_copy(update={"role": OPENBAO_PEOPLE_MANAGER})
    tokens = token_source("vault", endpoint.model_copy(update={"authentication": login}))
    authority = str(endpoint.ca_file) if endpoint.ca_file else None
    session = bounded_session(
        context=trusting(authority) if endpoint.address.startswith("https:") else None,
        seconds=_SECONDS,
        largest=_LARGEST_PASSED,
        scatter=True,
        keep=4,
        server_name=endpoint.server_name,
    )
    return _Reached(
        endpoint,
        caller_at(endpoint, "vault", tokens, timeout=_SECONDS),
        caller_at(endpoint, "vault", timeout=_SECONDS),
        session,
    )


def _user(name: str) -> str:
    return f"{_LOGIN}/users/{quote(name, safe='')}"


def _is_ours(group: str) -> bool:
    return group == OPENBAO_PEOPLE or group.startswith(f"{OPENBAO_PEOPLE}/")


def _entity(found: Any) -> Entity | None:
    if not found or not found.get("data"):
        return None
    data = found["data"]
    return Entity(data["id"], data.get("metadata") or {}, bool(data.get("disabled")))
