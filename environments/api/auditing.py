"""Middleware that tells the audit log of refusals, and of each use of the local admin's token."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qs

import anyio.to_thread
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from environments.api.clients import client_of
from environments.api.open_paths import SIGN_IN_PATHS
from environments.api.problems import ERROR
from environments.api.route_paths import route_path
from environments.api.statuses import http_status
from environments.domain.errors import CalvinverseError
from environments.service.audit_collecting import AuditCollector
from environments.service.auditing import (
    ATTEMPT,
    LOCAL_ADMIN,
    REFUSED,
    USE,
    Attempt,
    entry_of,
    on_environment,
    refused_stranger,
)
from environments.service.authorization import Principal
from environments.service.storage.audit import AuditEntry, Outcome

READS = frozenset({"GET", "HEAD", "OPTIONS"})

_REFUSED = frozenset({401, 403, 404, 405, 409, 413, 415, 422, 429})

_ROOM_WAITED_FOR = 10.0
"""Seconds that a request waits while too many entries wait to be written; then its entry is only logged."""

_OBJECTS = {
    "environments": "environment",
    "tokens": "token",
    "templates": "template",
    "images": "image",
    "policies": "policy",
    "calendars": "calendar",
    "holds": "hold",
    "plans": "plan",
    "deployments": "deployment",
    "people": "person",
    "groups": "group",
    "local-people": "local person",
    "service-accounts": "service_account",
    "webhooks": "webhook",
    "issuers": "issuer",
    "auth": "session",
    "roles": "subject",
}
"""What the first part of a path after the version is about, in the words of entries about what was done."""

log = structlog.get_logger()


class Audited:
    """Notes what became of requests of known callers. Stands inside `Authenticated`."""

    def __init__(self, app: ASGIApp, collector: AuditCollector) -> None:
        self._app = app
        self._collector = collector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = scope["state"].get("principal") if scope["type"] == "http" else None
        signs_in = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in SIGN_IN_PATHS
        if not isinstance(principal, Principal) and not signs_in:
            await self._app(scope, receive, send)
            return
        attempt = _Attempt(scope)

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":  # told before the answer: whoever has it finds the entry
                status, error = message["status"], scope["state"].get(ERROR)
                if isinstance(principal, Principal):
                    await self._tell(scope, principal, attempt, status, error)
                elif 400 <= status < 500:
                    self._tell_stranger(scope, attempt, status, error)
            await send(message)

        known = ATTEMPT.set(attempt)
        try:
            await self._app(scope, receive, watched_send)
        except Exception as error:
            status = http_status(type(error)) if isinstance(error, CalvinverseError) else 500
            if isinstance(principal, Principal):
                await self._tell(scope, principal, attempt, status, error)
            elif 400 <= status < 500:
                self._tell_stranger(scope, attempt, status, error)
            raise
        finally:
            ATTEMPT.reset(known)

    async def _tell(self, scope: Scope, principal: Principal, attempt: Attempt, status: int, error: object) -> None:
        if principal.kind == LOCAL_ADMIN:
            await self._note(_use(principal))
        if status >= 400 and not attempt.told and (status == 403 or _matters(scope)):
            await self._note(_refusal(scope, principal, attempt, status, error))

    def _tell_stranger(self, scope: Scope, attempt: Attempt, status: int, error: object) -> None:
        if isinstance(error, CalvinverseError):
            attempt.error = error
        refused_stranger(self._collector, attempt, client_of(scope), status)

    async def _note(self, entry: AuditEntry) -> None:
        if self._collector.note(entry):
            return
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._collector.wait_for_room, _ROOM_WAITED_FOR)
        if not self._collector.note(entry):
            log.error("audit.not_taken", action=entry.action, actor=entry.actor, request=entry.request, code=entry.code)


class _Attempt(Attempt):
    """Knows the template of the route once the request has one."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.action = self.name = ""
        self.environment = self.error = None
        self.told = False

    @property
    def request(self) -> str:  # type: ignore[override]  # computed: there is no route yet when the request begins
        """See `Attempt`."""
        return asked(self._scope)


def asked(scope: Scope) -> str:
    """The method and the template of the route of a request."""
    return f"{scope['method']} {route_path(scope)}"


def _matters(scope: Scope) -> bool:
    """Whether a request would change something, or reveal a secret."""
    if scope["method"] not in READS:
        return True
    query: Mapping[str, list[str]] = parse_qs(scope.get("query_string", b"").decode("ascii", "replace"))
    return any(value.lower() not in ("false", "0", "") for value in query.get("reveal", []))


def _use(principal: Principal) -> AuditEntry:
    return replace(entry_of(principal, USE), object_kind="token", object_id=principal.token_id)


def _refusal(scope: Scope, principal: Principal, attempt: Attempt, status: int, error: object) -> AuditEntry:
    ours = error if isinstance(error, CalvinverseError) else None
    outcome: Outcome = "refused" if status in _REFUSED else "failed"
    action = attempt.action or f"{REFUSED}:{scope['method'].lower()}"
    entry = entry_of(principal, action)
    return replace(
        _named(scope, entry) if attempt.environment is None else on_environment(entry, attempt.environment),
        outcome=outcome,
        code=ours.code if ours is not None else f"http_{status}" if error is None else "internal",
        reason=ours.message if ours is not None else "",
    )


def _named(scope: Scope, entry: AuditEntry) -> AuditEntry:
    """The entry, on the object that the path names."""
    parts = route_path(scope).strip("/").split("/")
    kind = _OBJECTS.get(parts[1], parts[1]) if len(parts) > 1 else ""
    said = [str(value) for value in (scope.get("path_params") or {}).values()]
    return replace(entry, object_kind=kind, object_name="/".join(said))
