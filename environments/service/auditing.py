"""Entries of the audit log, as use cases make them: who, from where, by which request."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from environments.domain.environment import Environment
from environments.service.storage.audit import ENVIRONMENT, AuditEntry, Outcome
from environments.service.storage.transaction import Transaction

CREATES = "environment:create"
"""The action before which there is no environment."""


class Actor(Protocol):
    """Who acts: what entries need of a principal."""

    @property
    def owner(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def token_id(self) -> str: ...


@dataclass(frozen=True)
class RequestFacts:
    """The request that is being answered: its method with the template of its route, and the caller's address."""

    request: str = ""
    address: str = ""


NO_REQUEST = RequestFacts()

REQUEST: ContextVar[RequestFacts] = ContextVar("audited request", default=NO_REQUEST)
"""Set by the API around each request; empty for what the clock and triggers do."""


def entry_of(
    actor: Actor,
    action: str,
    environment: Environment | None = None,
    *,
    outcome: Outcome = "allowed",
    code: str = "",
    reason: str = "",
    rule: str = "",
) -> AuditEntry:
    """An entry about an action of that principal."""
    facts = REQUEST.get()
    return AuditEntry(
        action=action,
        actor=actor.owner,
        actor_kind=getattr(actor, "kind", ""),
        role=actor.role,
        token_id=actor.token_id,
        behalf=getattr(actor, "behalf", ""),
        address=getattr(actor, "address", "") or facts.address,
        request=facts.request,
        object_kind=ENVIRONMENT if environment is not None else "",
        object_id=environment.id if environment is not None else "",
        object_name=environment.name if environment is not None else "",
        template=environment.template if environment is not None else "",
        outcome=outcome,
        code=code,
        reason=reason,
        rule=rule,
    )


def note_allowed(tx: Transaction, actor: Actor, action: str, environment: Environment | None = None) -> None:
    """Adds the entry of an action that was allowed; in a transaction that only reads there is none."""
    if tx.writes:
        was = None if action == CREATES else environment
        tx.audit.add(entry_of(actor, action, environment), was)
