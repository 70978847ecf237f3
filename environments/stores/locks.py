"""The locks of a writing transaction on PostgreSQL, where many write at once. SQLite has one writer at a time.

Transactions take hold in one order, so that no two wait for each other: the Idempotency-Key, the environment, its
deployments, what hangs on them, and last, when all else is written, the events. Claims stand apart: they take hold of
deployments only (`stores.queue`).
"""

from typing import Any

from sqlalchemy import Connection, Integer, Select, bindparam, func, literal, select

SQLITE, POSTGRESQL = "sqlite", "postgresql"
"""Names of dialects."""

_FAMILY = 0x0CA1
"""First half of the keys of Calvinverse's advisory locks. The second half is one of these, or the hash of a text."""
MIGRATION, EVENTS, LEADER, CLAIMS, CALENDAR, AUDIT, FIRST = 1, 2, 3, 4, 5, 6, 7
_TEXTS = 0x0CA2


def advisory_key(which: int) -> tuple[int, int]:
    """Both halves of an advisory lock's key."""
    return _FAMILY, which


_HOLD = select(func.pg_advisory_xact_lock(literal(_FAMILY, Integer), bindparam("which", type_=Integer)))
_SHARE = select(func.pg_advisory_xact_lock_shared(literal(_FAMILY, Integer), bindparam("which", type_=Integer)))
_HOLD_TEXT = select(
    func.pg_advisory_xact_lock(literal(_TEXTS, Integer), func.hashtext(bindparam("text"), type_=Integer))
)


class Locks:
    """The locks of one transaction, held until it ends. A reading transaction takes none."""

    def __init__(self, connection: Connection, writes: bool) -> None:
        self._connection = connection
        self.needed = writes and connection.dialect.name == POSTGRESQL
        self._claims = False

    def rows(self, query: Select[Any], *, skip: bool = False) -> Select[Any]:
        """The query, with a lock on the environments that it returns: it waits for transactions that change them.

        With `skip` it leaves out those that somebody changes now.
        """
        return query.with_for_update(key_share=True, skip_locked=skip) if self.needed else query

    def claims(self) -> None:
        """Allows one claim at a time, because a claim counts what earlier ones have taken."""
        if self.needed and not self._claims:
            self._connection.execute(_HOLD, {"which": CLAIMS})
            self._claims = True

    def events(self) -> None:
        """Held from the first event's id to the commit, so that ids become visible in order."""
        if self.needed:
            self._connection.execute(_HOLD, {"which": EVENTS})

    def audit(self) -> None:
        """Allows one transaction at a time to chain and prune the audit log."""
        if self.needed:
            self._connection.execute(_HOLD, {"which": AUDIT})

    def calendar(self, *, alone: bool) -> None:
        """Of policies and holiday calendars: one transaction edits them, while none that shares them goes on."""
        if self.needed:
            self._connection.execute(_HOLD if alone else _SHARE, {"which": CALENDAR})

    def text(self, text: str) -> None:
        """Allows one transaction at a time for the same text."""
        if self.needed:
            self._connection.execute(_HOLD_TEXT, {"text": text})
