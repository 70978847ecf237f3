"""The chain of the audit log: gives new entries their places, and prunes the oldest.

The leading process does both. Two processes that lead for a moment wait for each other, and a place is taken once.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from environments.service.audit_sealing import checkpoint_seal, link_hash
from environments.service.audit_verifying import AuditVerifier
from environments.service.storage.audit import AuditEntry, Checkpoint, Head, Link
from environments.service.storage.transaction import Storage, Transaction

AT_ONCE = 500
"""Entries that one transaction chains."""

PRUNED_AT_ONCE = 2000

KEPT = timedelta(days=400)
"""How long entries are kept by default."""

log = structlog.get_logger()


class AuditChain:
    """Chains and prunes entries. Used by one thread."""

    def __init__(self, storage: Storage, key: bytes, clock: Callable[[], datetime], keep: timedelta = KEPT) -> None:
        self._storage = storage
        self._key = key
        self._clock = clock
        self._keep = keep
        self._verifier = AuditVerifier(storage, key)
        self._left: Head | None = None
        """Where this process left the chain."""

    def extend(self) -> int:
        """Chains some of the entries that aren't chained; returns how many. Raises `StorageError`."""
        with self._storage.read() as tx:
            if not tx.audit.to_chain(1):
                return 0
        with self._storage.write() as tx:
            tx.audit.lock_chain()
            head = tx.audit.head()
            self._compare(tx, head)
            links = []
            for entry_id, seal in tx.audit.to_chain(AT_ONCE):
                place = head.position + 1
                link = Link(entry_id, place, head.hash, link_hash(self._key, entry_id, place, head.hash, seal))
                links.append(link)
                head = Head(place, link.hash)
            if links:
                tx.audit.chain(links)
        self._left = head
        return len(links)

    def head(self) -> Head:
        """The end of the chain. Raises `StorageError`."""
        with self._storage.read() as tx:
            return tx.audit.head()

    def prune(self) -> int:
        """Deletes some of the entries that are older than they are kept; returns how many. Raises `StorageError`.

        Only entries at the beginning of the chain go; a sealed checkpoint takes their place, and an entry tells of it.
        """
        now = self._clock()
        before = now - self._keep
        with self._storage.read() as tx:
            first = tx.audit.oldest(1)
        if not first or first[0][2] >= before:
            return 0
        # What is deleted can't be verified any more: it is verified now, or a forged beginning would become ours.
        seen = self._verifier.verify(now, part=PRUNED_AT_ONCE)
        if seen.findings:
            log.error("audit.not_pruned", reason=seen.findings[0].message, findings=len(seen.findings) + seen.more)
            return 0
        with self._storage.write() as tx:
            tx.audit.lock_chain()
            last: Head | None = None
            for position, hash_, at in tx.audit.oldest(PRUNED_AT_ONCE):
                if at >= before or position > seen.end:
                    break
                last = Head(position, hash_)
            if last is None:
                return 0
            known = tx.audit.checkpoints()
            start = known[-1] if known else Checkpoint(0, "", 0, now, "")
            pruned = start.pruned + last.position - start.position
            seal = checkpoint_seal(self._key, last.position, last.hash, pruned, now)
            done = tx.audit.prune(Checkpoint(last.position, last.hash, pruned, now, seal))
            tx.audit.add(
                AuditEntry(
                    "audit:prune",
                    "clock",
                    actor_kind="clock",
                    object_kind="audit",
                    after={"position": last.position, "hash": last.hash, "entries": done},
                    reason=f"entries from before {before:%Y-%m-%d %H:%M:%S %Z}",
                    rule=f"keep_audit, {self._keep.days} days",
                    at=now,
                )
            )
        return done

    def _compare(self, tx: Transaction, head: Head) -> None:
        """Logs it when the end of the chain, where this process left it, is gone from the database."""
        left = self._left
        if left is None or left == head:
            return
        if (found := tx.audit.link(left.position)) == left:
            return
        if found is None and any(one.position >= left.position for one in tx.audit.checkpoints()):
            return  # pruned since
        log.error(
            "audit.tail_lost",
            position=left.position,
            hash=left.hash,
            found_position=head.position,
            found_hash=found.hash if found else head.hash,
        )


def chain_all(chain: AuditChain, most: int = 100) -> int:
    """Chains all entries that are there, in at most `most` transactions; returns how many. Raises `StorageError`."""
    chained = 0
    for _ in range(most):
        some = chain.extend()
        if not some:
            break
        chained += some
    return chained
