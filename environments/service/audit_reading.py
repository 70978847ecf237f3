"""Reading and verifying the audit log: auditors and admins all of it, owners what concerns their environments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from environments.domain.errors import InvalidInput, NotFound
from environments.service.audit_verifying import AuditVerifier, Verdict
from environments.service.authorization import Action, Principal, environment_to_read, may
from environments.service.pages import Page
from environments.service.storage.audit import AuditFilter, Checkpoint, Head, StoredEntry
from environments.service.storage.transaction import Storage, Transaction

READ_AT_ONCE = 500
"""Entries of an export that one transaction reads."""


@dataclass(frozen=True)
class AuditState:
    """Where the chain ends and begins, and how many entries wait to be chained (some hundreds at most are counted)."""

    head: Head
    checkpoint: Checkpoint | None
    unchained: int


class AuditReading:
    """Answers queries about the audit log; changes nothing."""

    def __init__(self, storage: Storage, verifier: AuditVerifier, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._verifier = verifier
        self._clock = clock

    def list(
        self,
        principal: Principal,
        which: AuditFilter,
        *,
        environment: str | None = None,
        limit: int | None = None,
        before: int | None = None,
        after: int | None = None,
    ) -> Page[StoredEntry]:
        """Entries, newest first, older than the id `before`; with `after`, chained ones from that position, in order.

        `environment` is the name or id of one; its owners may ask with it. Raises `UnknownEnvironment`, `Forbidden`.
        """
        if after is not None and before is not None:
            raise InvalidInput("Give either before or after.")
        with self._storage.read() as tx:
            which, whole = self._allowed(tx, principal, which, environment)
            if after is not None:
                found = tx.audit.after(after, which, limit=limit or READ_AT_ONCE)
            else:
                found = tx.audit.list(which, limit=limit, before=before)
        return found if whole else found.each(lambda one: _for_owners(one, principal))

    def entry(self, principal: Principal, entry_id: int) -> StoredEntry:
        """One entry. Raises `NotFound`, `Forbidden`."""
        with self._storage.read() as tx:
            may(tx, principal, Action.AUDIT_READ)
            found = tx.audit.get(entry_id)
        if found is None:
            raise NotFound(
                f"There is no entry {entry_id} in the audit log.", hint="See them with `calvinverse audit list`."
            )
        return found

    def export(self, principal: Principal, after: int, limit: int) -> Iterator[StoredEntry]:
        """Chained entries from after a position, in order, at most `limit`. Raises `Forbidden` at once."""
        with self._storage.read() as tx:
            may(tx, principal, Action.AUDIT_READ)
        return self._export(after, limit)

    def _export(self, after: int, limit: int) -> Iterator[StoredEntry]:
        while limit > 0:
            with self._storage.read() as tx:
                found = tx.audit.after(after, AuditFilter(), limit=min(limit, READ_AT_ONCE))
            if not found:
                return
            yield from found
            limit -= len(found)
            after = found[-1].position or after

    def state(self, principal: Principal) -> AuditState:
        """Where the chain stands. Raises `Forbidden`."""
        with self._storage.read() as tx:
            may(tx, principal, Action.AUDIT_READ)
            left = tx.audit.checkpoints()
            return AuditState(tx.audit.head(), left[-1] if left else None, len(tx.audit.to_chain(READ_AT_ONCE)))

    def verify(self, principal: Principal, *, after: int | None = None, head: Head | None = None) -> Verdict:
        """One part of a walk along the chain: see `AuditVerifier.verify`. Raises `Forbidden`, `InvalidInput`."""
        with self._storage.read() as tx:
            may(tx, principal, Action.AUDIT_READ)
        return self._verifier.verify(self._clock(), after=after, head=head)

    def _allowed(
        self, tx: Transaction, principal: Principal, which: AuditFilter, environment: str | None
    ) -> tuple[AuditFilter, bool]:
        """The filter with the environment's id, and whether everything of the entries is shown."""
        found = environment_to_read(tx, principal, environment) if environment is not None else None
        whole = principal.role != "user"
        if found is not None and not whole:
            may(tx, principal, Action.ENVIRONMENT_AUDIT, found)
        else:
            may(tx, principal, Action.AUDIT_READ)
        return which if found is None else replace(which, environment=found.id), whole


def _for_owners(stored: StoredEntry, principal: Principal) -> StoredEntry:
    """Without the addresses and tokens of others."""
    if stored.entry.actor == principal.owner:
        return stored
    return stored._replace(entry=replace(stored.entry, address="", token_id=""))
