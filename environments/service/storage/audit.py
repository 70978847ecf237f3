"""The port to the database: the audit log.

An entry is part of the transaction of what it tells of. The leading process chains entries afterwards: each gets a
position without gaps and a hash over itself and the hash before it (`environments.service.audit_chain`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


class Link(NamedTuple):
    """The place of an entry in the chain."""

    id: int
    position: int
    previous: str
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


class SealedRow(NamedTuple):
    """An entry as it is stored, for checks: column → value; None if the row can't be read."""

    id: int
    position: int | None
    values: Mapping[str, Any] | None


class Audit(Protocol):
    """Entries of the audit log: this transaction's, and all that were written.

    `environments.service.audit_chain` alone calls the methods from `head` on.
    """

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

    def head(self) -> Head:
        """The end of the chain: the last chained entry, else the checkpoint, else position 0."""
        ...

    def lock_chain(self) -> None:
        """Until the transaction ends, no other one chains or prunes."""
        ...

    def to_chain(self, limit: int) -> Sequence[tuple[int, str]]:
        """Id and seal of entries that aren't chained, in the order of their ids."""
        ...

    def chain(self, links: Sequence[Link]) -> None:
        """Gives entries their places. Raises `StorageError` if a place is taken."""
        ...

    def link(self, position: int) -> Head | None:
        """The entry at a position, by its hash."""
        ...

    def oldest(self, limit: int) -> Sequence[tuple[int, str, datetime]]:
        """Position, hash and moment of the first chained entries."""
        ...

    def prune(self, checkpoint: Checkpoint) -> int:
        """Deletes chained entries up to the checkpoint, and keeps the checkpoint in place of the one before."""
        ...

    def checkpoints(self) -> Sequence[Checkpoint]:
        """The checkpoint that is stored; more than one only if somebody added rows."""
        ...

    def walk(self, position: int, limit: int) -> Page[SealedRow]:
        """Chained entries from after a position, in order."""
        ...

    def before_chain(self, position: int) -> Sequence[int]:
        """Positions of some entries up to that one, which should have been pruned or never existed."""
        ...

    def walk_unchained(self, entry_id: int, limit: int) -> Page[SealedRow]:
        """Entries that aren't chained, from after an id."""
        ...
