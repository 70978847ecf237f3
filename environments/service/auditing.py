"""Entries of the audit log, as use cases make them, and the request that is being answered."""

from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Protocol

from environments.domain.environment import Environment
from environments.service.storage.audit import ENVIRONMENT, AuditEntry

USE = "token:use"
"""The action of the local admin's token: each of its uses is told."""

REFUSED = "request"
"""The subject of an action that was refused before it was clear what it would be: `request:post`."""

LOCAL_ADMIN = "local_admin"
"""The kind of the principal with that token."""


@dataclass
class Attempt:
    """A request that is being answered, and what it tried last. `request` is the method and the route's template."""

    request: str = ""
    action: str = ""
    environment: Environment | None = None


ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""Set by the API around each request; None for what the clock and triggers do."""


def attempted(action: str, environment: Environment | None) -> None:
    """Notes what the present request tries, for the entry that tells of a refusal."""
    attempt = ATTEMPT.get()
    if attempt is not None:
        attempt.action, attempt.environment = action, environment


def request_now(otherwise: str = "") -> str:
    """The method and the route's template of the present request."""
    attempt = ATTEMPT.get()
    return (attempt.request if attempt is not None else "") or otherwise


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


def on_environment(entry: AuditEntry, environment: Environment) -> AuditEntry:
    """The entry, on that environment."""
    return replace(
        entry,
        object_kind=ENVIRONMENT,
        object_id=environment.id,
        object_name=environment.name,
        template=environment.template,
    )
