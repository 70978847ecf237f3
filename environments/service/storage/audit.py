"""The port to the database: the audit log.

An entry is part of the transaction of what it tells of. The leading process chains entries afterwards: each gets a
position without gaps and a hash over itself and the hash before it (`environments.service.audit_chain`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from environments.domain.environment import Environment
from environments.service.pages import Page

Outcome = Literal["allowed", "refused", "failed"]

ENVIRONMENT = "environment"
"""The kind of object whose changes the store finds by itself."""


@dataclass(frozen=True)
class AuditEntry:
    """Who did, or tried, what, on what, from where, with which outcome. Never holds a secret.

    `action` is `subject:action`. `before` and `after` hold what differs, as JSON values. `request` is the method and
    the template of the route; `rule` is why the clock or a trigger did it; `code` is the error's. `count`: how many
    equal refusals within a minute the entry stands for. `at` None: the moment when the entry is written.
    """

    action: str
    actor: str
    actor_kind: str = ""
    role: str = ""
    token_id: str = ""
    behalf: str = ""
    address: str = ""
    request: str = ""
    object_kind: str = ""
    object_id: str = ""
    object_name: str = ""
    template: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    outcome: Outcome = "allowed"
    code: str = ""
    reason: str = ""
    rule: str = ""
    count: int = 1
    at: datetime | None = None


class StoredEntry(NamedTuple):
    """An entry as it is stored. `position`, `previous` and `hash` are None until it is chained."""

    id: int
    position: int | None
    previous: str | None
    hash: str | None
    entry: AuditEntry


class Checkpoint(NamedTuple):
    """What pruning leaves: the last entry that was deleted, how many have been in all, when, and a seal over these."""

    position: int
    hash: str
    pruned: int
    at: datetime
    seal: str


class Head(NamedTuple):
    """The end of the chain. Position 0 with an empty hash: nothing has been chained yet."""

    position: int
    hash: str


@dataclass(frozen=True)
class AuditFilter:
    """Which entries; None: any. `until` is exclusive. `environment` is an id, `object` an id or a name."""

    actor: str | None = None
    action: str | None = None
    environment: str | None = None
    object: str | None = None
    outcome: Outcome | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    environments_of: str | None = None
    """Only entries on environments of this owner."""


@dataclass(frozen=True)
class Finding:
    """Something that `verify` found. `position` None: an entry that isn't chained; `id` None: no entry is there."""

    kind: str
    position: int | None
    id: int | None
    message: str


@dataclass(frozen=True)
class Verdict:
    """What a walk over the chain found. `findings` are the first ones, in order; `more` counts the others."""

    head: Head
    first: int
    entries: int
    unchained: int
    checkpoint: Checkpoint | None
    findings: tuple[Finding, ...] = field(default=())
    more: int = 0


class Audit(Protocol):
    """Entries of the audit log: this transaction's, and all that were written."""

    def add(self, entry: AuditEntry, environment: Environment | None = None) -> None:
        """Adds an entry, written when the transaction ends, and rolled back with it. `TypeError` when it only reads.

        For an entry on an environment the store fills in what the transaction changes of it: `environment` is how it
        was before, None if the transaction creates it.
        """
        ...

    def changed(
        self,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """Completes the entry that this transaction added last: what changed, and other fields by their names.

        Of `before` and `after` only what differs is kept. `TypeError` when there is no entry.
        """
        ...

    def get(self, entry_id: int) -> StoredEntry | None:
        """The entry of that id."""
        ...

    def list(self, which: AuditFilter, *, limit: int | None = None, before: int | None = None) -> Page[StoredEntry]:
        """Entries, newest first: at most `limit`, older than the one with the id `before`."""
        ...

    def after(self, position: int, which: AuditFilter, *, limit: int) -> Page[StoredEntry]:
        """Chained entries from after a position, oldest first."""
        ...
