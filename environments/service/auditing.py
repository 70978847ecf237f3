"""Entries of the audit log for what is tried: the request that is being answered, and what people sign in with."""

from contextvars import ContextVar
from dataclasses import dataclass, replace

from environments.domain.environment import Environment
from environments.service.storage.audit import ENVIRONMENT, AuditEntry, Outcome

SIGN_IN = "session:start"
"""The action of signing in."""

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


def sign_in_entry(
    *,
    issuer: str,
    subject: str,
    username: str,
    address: str,
    person: str = "",
    token_id: str = "",
    outcome: Outcome = "allowed",
    code: str = "",
    reason: str = "",
    rule: str = "",
) -> AuditEntry:
    """The entry of a sign-in, or of one that was refused, of whom a provider told.

    `person` is their user name, empty if they have none; `username` is what the provider calls them. An identity token
    that can't be verified tells of nobody: such refusals are counted by address, as those of unknown callers.
    """
    return AuditEntry(
        SIGN_IN,
        person or username,
        actor_kind="person" if person else "unknown",
        token_id=token_id,
        address=address,
        request=request_now(),
        object_kind="person",
        object_id=f"{issuer} {subject}",
        object_name=username,
        outcome=outcome,
        code=code,
        reason=reason,
        rule=rule,
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
