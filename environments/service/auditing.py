"""Entries of the audit log, as use cases make them, and the request that is being answered."""

from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Protocol

from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError
from environments.service.audit_collecting import AuditCollector
from environments.service.storage.audit import ENVIRONMENT, AuditEntry

USE = "token:use"
"""The action of the local admin's token: each of its uses is told."""

REFUSED = "request"
"""The subject of an action that was refused before it was clear what it would be: `request:post`."""

LOCAL_ADMIN = "local_admin"
"""The kind of the principal with that token."""


@dataclass
class Attempt:
    """A request that is being answered, and what it tried last. `request` is the method and the route's template.

    `error` is what it is answered with, `name` the user name that it is about, and `told` that an entry tells of the
    refusal already. `caller`: whoever is signed in, where pages find that out.
    """

    request: str = ""
    action: str = ""
    environment: Environment | None = None
    error: CalvinverseError | None = None
    name: str = ""
    told: bool = False
    caller: "Actor | None" = None


ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""Set by the API around each request; None for what the clock and triggers do."""


def attempted(action: str, environment: Environment | None) -> None:
    """Notes what the present request tries, for the entry that tells of a refusal."""
    attempt = ATTEMPT.get()
    if attempt is not None:
        attempt.action, attempt.environment = action, environment


def answered_with(error: CalvinverseError) -> None:
    """Notes the error that the present request is answered with."""
    attempt = ATTEMPT.get()
    if attempt is not None:
        attempt.error = error


def about_name(name: str) -> None:
    """Notes the user name that the present request is about. Only that of somebody there is: others may be secrets."""
    attempt = ATTEMPT.get()
    if attempt is not None:
        attempt.name = name


def told_already() -> None:
    """Notes that an entry tells of the present request's refusal."""
    attempt = ATTEMPT.get()
    if attempt is not None:
        attempt.told = True


def request_now(otherwise: str = "") -> str:
    """The method and the route's template of the present request."""
    attempt = ATTEMPT.get()
    return (attempt.request if attempt is not None else "") or otherwise


SIGN_IN = "session:sign_in"
"""The action of whoever signs in, and of attempts that come to nothing."""

_WAITING = frozenset({"authorization_pending", "slow_down"})
"""Codes of errors that tell a device to wait."""


def refused_stranger(collector: AuditCollector, attempt: Attempt, address: str, status: int) -> None:
    """Counts a refusal of somebody who wanted to sign in."""
    code = attempt.error.code if attempt.error is not None else f"http_{status}"
    if not attempt.told and status < 500 and code not in _WAITING:
        collector.note_unknown(address, attempt.request, code, action=SIGN_IN, name=attempt.name)


class Actor(Protocol):
    """Who acts: what entries need of a principal."""

    @property
    def owner(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def token_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def request(self) -> str: ...


def entry_of(actor: Actor, action: str) -> AuditEntry:
    """An entry about what a principal does."""
    return AuditEntry(
        action=str(action),
        actor=actor.owner,
        actor_kind=actor.kind,
        role=actor.role,
        token_id=actor.token_id,
        address=actor.address,
        request=request_now(actor.request),
    )


def refusal_of(actor: Actor, attempt: Attempt, status: int) -> AuditEntry:
    """The entry of a refused form of somebody who is signed in."""
    method = attempt.request.partition(" ")[0].lower()
    return replace(
        entry_of(actor, attempt.action or f"{REFUSED}:{method}"),
        request=attempt.request,
        outcome="refused" if status < 500 else "failed",
        code=attempt.error.code if attempt.error is not None else f"http_{status}",
        reason=attempt.error.message if attempt.error is not None else "",
        object_kind="person" if attempt.name else "",
        object_name=attempt.name,
    )


def on_environment(entry: AuditEntry, environment: Environment) -> AuditEntry:
    """The entry, on that environment."""
    return replace(
        entry,
        object_kind=ENVIRONMENT,
        object_id=environment.id,
        object_name=environment.name,
        template=environment.template,
    )
