"""Verifies the audit log: walks along the chain and tells what was removed, changed, added or moved.

A walk goes in parts, so that neither a request nor a transaction takes long: each part says where the next one begins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from environments.domain.errors import InvalidInput
from environments.service.audit_sealing import checkpoint_seal, entry_seal, link_hash, same
from environments.service.storage.audit import Checkpoint, Head, SealedRow
from environments.service.storage.transaction import Storage, Transaction

AT_ONCE = 500
"""Entries that are read in one transaction."""

PART = 20_000
"""Entries of one part of the walk."""

MOST_FINDINGS = 100

CHAINED_WITHIN = timedelta(minutes=1)
"""An older entry that isn't chained is a finding."""


class FindingKind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    """Entries are missing from the chain."""
    ALTERED = "altered"
    """An entry isn't as this service wrote it: changed since, or written by somebody else."""
    OUT_OF_PLACE = "out_of_place"
    """An entry's place in the chain isn't the one that it was given."""
    ADDED = "added"
    """An entry stands before the beginning of the chain."""
    CHECKPOINT = "checkpoint"
    """The checkpoint wasn't written by this service, or doesn't fit the chain."""
    TAIL = "tail"
    """The chain ends before the head that was given, or went another way."""
    UNCHAINED = "unchained"
    """An entry waits to be chained for too long."""


@dataclass(frozen=True)
class Finding:
    """Something wrong. `position` None: an entry that isn't chained; `id` None: no entry is there."""

    kind: FindingKind
    position: int | None
    id: int | None
    message: str


@dataclass
class Verdict:
    """What one part of a walk found: entries from after `start` up to `end`.

    `next`: where the next part begins; None: this was the last one. `findings` are the first ones; `more` counts the
    others. `unchained` counts entries that wait to be chained, in the last part.
    """

    start: int
    end: int
    head: Head
    entries: int = 0
    unchained: int = 0
    checkpoint: Checkpoint | None = None
    next: int | None = None
    findings: list[Finding] = field(default_factory=list)
    more: int = 0

    def add(self, kind: FindingKind, position: int | None, entry_id: int | None, message: str) -> None:
        """Notes a finding."""
        if len(self.findings) >= MOST_FINDINGS:
            self.more += 1
        else:
            self.findings.append(Finding(kind, position, entry_id, message))


class AuditVerifier:
    """Verifies the chain with the key of this service."""

    def __init__(self, storage: Storage, key: bytes) -> None:
        self._storage = storage
        self._key = key

    def verify(self, now: datetime, *, after: int | None = None, head: Head | None = None, part: int = PART) -> Verdict:
        """One part of a walk: from the beginning, or from `after`, which an earlier part gave as `next`.

        `head`: a head that the service logged; the chain must go through it. Raises `InvalidInput` for a head whose
        entry was pruned, and `StorageError`.
        """
        with self._storage.read() as tx:
            verdict, at = self._begin(tx, after, head)
        while verdict.entries < part:
            with self._storage.read() as tx:
                rows = tx.audit.walk(at.position, min(AT_ONCE, part - verdict.entries))
                if not rows:
                    return self._end(tx, verdict, at, head, now)
                at = self._pruned_meanwhile(tx, at, rows[0])
            for row in rows:
                if not isinstance(row.position, int):
                    verdict.add(FindingKind.ALTERED, None, row.id, f"The position of the entry {row.id} is no number.")
                    with self._storage.read() as tx:
                        return self._end(tx, verdict, at, head, now)
                at = self._check(verdict, at, row, row.position)
                verdict.entries += 1
        verdict.end = at.position
        verdict.next = at.position
        return verdict

    def _end(self, tx: Transaction, verdict: Verdict, at: Head, head: Head | None, now: datetime) -> Verdict:
        verdict.head = tx.audit.head()
        verdict.end = at.position
        if head is not None:
            _compare(tx, verdict, head)
        self._unchained(tx, verdict, now)
        return verdict

    def _begin(self, tx: Transaction, after: int | None, head: Head | None) -> tuple[Verdict, Head]:
        known = tx.audit.checkpoints()
        last = known[-1] if known else None
        start = Head(last.position, last.hash) if last is not None else Head(0, "")
        if head is not None and head.position < start.position:
            raise InvalidInput(
                f"The entry at position {head.position} has been pruned.",
                hint="Give a head that was logged later.",
            )
        if after is not None and after > start.position:
            start = tx.audit.link(after) or Head(after, "")
            return Verdict(start.position, start.position, start, checkpoint=last), start
        verdict = Verdict(start.position, start.position, start, checkpoint=last)
        self._checkpoints(tx, verdict, known)
        return verdict, start

    def _checkpoints(self, tx: Transaction, verdict: Verdict, known: Any) -> None:
        for one in known:
            seal = checkpoint_seal(self._key, one.position, one.hash, one.pruned, one.at)
            if not same(one.seal, seal):
                verdict.add(
                    FindingKind.CHECKPOINT,
                    one.position,
                    None,
                    f"The checkpoint at position {one.position} wasn't written by this service, or was changed.",
                )
            if one.pruned != one.position:
                verdict.add(
                    FindingKind.CHECKPOINT,
                    one.position,
                    None,
                    f"The checkpoint at position {one.position} counts {one.pruned} entries.",
                )
        if len(known) > 1:
            verdict.add(FindingKind.CHECKPOINT, None, None, f"There are {len(known)} checkpoints; one is kept.")
        for position in tx.audit.before_chain(verdict.start):
            verdict.add(
                FindingKind.ADDED,
                position,
                None,
                f"An entry stands at position {position}, before the beginning of the chain.",
            )

    def _pruned_meanwhile(self, tx: Transaction, at: Head, row: SealedRow) -> Head:
        """Where the walk goes on: at the checkpoint, if what came before it was pruned during the walk."""
        if row.position == at.position + 1:
            return at
        for one in tx.audit.checkpoints():
            seal = checkpoint_seal(self._key, one.position, one.hash, one.pruned, one.at)
            if one.position > at.position and same(one.seal, seal):
                return Head(one.position, one.hash)
        return at

    def _check(self, verdict: Verdict, at: Head, row: SealedRow, position: int) -> Head:
        """Checks one entry against the one before it; returns where the chain is then."""
        if position != at.position + 1:
            verdict.add(FindingKind.MISSING, at.position + 1, None, _missing(at.position + 1, position - 1))
        values = row.values
        if values is None:
            verdict.add(FindingKind.ALTERED, position, row.id, f"The entry at position {position} can't be read.")
            return Head(position, "")
        self._content(verdict, row, values)
        seal, previous, found = (str(values[name] or "") for name in ("seal", "previous", "hash"))
        follows = position != at.position + 1 or previous == at.hash or (not at.hash and at.position > 0)
        if not follows or not same(found, link_hash(self._key, row.id, position, previous, seal)):
            verdict.add(
                FindingKind.OUT_OF_PLACE,
                position,
                row.id,
                f"The entry at position {position} doesn't follow from the one before it: it was moved, replaced, or "
                "its links were changed.",
            )
        return Head(position, found)

    def _content(self, verdict: Verdict, row: SealedRow, values: Mapping[str, Any]) -> None:
        if not same(str(values["seal"] or ""), entry_seal(self._key, values)):
            where = f"The entry at position {row.position}" if row.position is not None else f"The entry {row.id}"
            verdict.add(
                FindingKind.ALTERED,
                row.position,
                row.id,
                f"{where} isn't as this service writes entries: it was changed, or somebody else wrote it.",
            )

    def _unchained(self, tx: Transaction, verdict: Verdict, now: datetime) -> None:
        last = 0
        while verdict.unchained < PART:
            rows = tx.audit.walk_unchained(last, AT_ONCE)
            for row in rows:
                self._waiting(verdict, row, now)
            verdict.unchained += len(rows)
            if not rows:
                return
            last = rows[-1].id

    def _waiting(self, verdict: Verdict, row: SealedRow, now: datetime) -> None:
        if row.values is None:
            verdict.add(FindingKind.ALTERED, None, row.id, f"The entry {row.id} can't be read.")
            return
        self._content(verdict, row, row.values)
        at = row.values["at"]
        if isinstance(at, datetime) and at < now - CHAINED_WITHIN:
            verdict.add(FindingKind.UNCHAINED, None, row.id, f"The entry {row.id} isn't chained yet.")


def _compare(tx: Transaction, verdict: Verdict, head: Head) -> None:
    """Checks that the chain goes through a head."""
    found, known = tx.audit.link(head.position), tx.audit.checkpoints()
    if found is None and known and known[-1].position == head.position:
        found = Head(head.position, known[-1].hash)
    if found is None:
        verdict.add(
            FindingKind.TAIL,
            head.position,
            None,
            f"The chain ends at position {verdict.head.position}, and had an entry at position {head.position} when "
            "that head was logged.",
        )
    elif found.hash != head.hash:
        verdict.add(
            FindingKind.TAIL,
            head.position,
            None,
            f"The entry at position {head.position} isn't the one of the head that was given.",
        )


def _missing(first: int, last: int) -> str:
    if first == last:
        return f"The entry at position {first} is missing."
    return f"The entries at positions {first} to {last} are missing."
