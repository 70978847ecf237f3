"""Writes entries that stand for themselves: those of an `AuditCollector`."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import structlog

from environments.domain.errors import CalvinverseError
from environments.service.audit_collecting import AuditCollector
from environments.service.storage.audit import ENVIRONMENT, AuditEntry
from environments.service.storage.transaction import Storage, Transaction

AT_ONCE = 200
"""Entries that one transaction writes."""

_LOOKS_EVERY = 5.0
"""Seconds after which counted entries are looked at."""

_PAUSE = 1.0
"""Seconds after an error."""

log = structlog.get_logger()


class AuditWriter:
    """A thread that waits for entries. What it was given is written before it stops."""

    def __init__(self, storage: Storage, collector: AuditCollector) -> None:
        self._storage = storage
        self._collector = collector
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit writer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread; everything that was collected is written, what is still counted too."""
        self._stopping.set()
        self._collector.wake()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def write(self, *, all: bool = False) -> bool:
        """Writes what is to be written now; whether that worked."""
        entries = self._collector.take(all=all)
        for start in range(0, len(entries), AT_ONCE):
            try:
                self._write(entries[start : start + AT_ONCE])
            except CalvinverseError as error:
                log.warning("audit.not_written", reason=error.message, entries=len(entries) - start)
                self._collector.put_back(entries[start:])
                return False
        return True

    def _write(self, entries: Sequence[AuditEntry]) -> None:
        with self._storage.write() as tx:
            for entry in entries:
                tx.audit.add(_found(tx, entry))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._collector.wait(_LOOKS_EVERY)
            try:
                written = self.write()
            except Exception as error:  # the thread must not end: refusals would not be told any more
                log.error("audit.fault", exc_info=error)
                written = False
            if not written:
                self._stopping.wait(_PAUSE)
        self.write(all=True)


def _found(tx: Transaction, entry: AuditEntry) -> AuditEntry:
    """The entry with the id of the environment that a request named."""
    if entry.object_kind != ENVIRONMENT or entry.object_id or not entry.object_name:
        return entry
    name = entry.object_name
    found = tx.environments.get(name.removeprefix("id:")) or tx.environments.named(name.removeprefix("name:"))
    if found is None:
        return entry
    return replace(entry, object_id=found.id, object_name=found.name, template=found.template)
