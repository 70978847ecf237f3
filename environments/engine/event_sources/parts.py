"""What the sources of received events are made from, and what they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from environments.service.receiving import Receiving
from environments.service.storage.transaction import Storage
from environments.steps.cluster_events import Check, Happening, Listing
from environments.steps.source_ports import JobEnds, KeyFeed, UsageReader


@dataclass(frozen=True)
class SourceParts:
    """The database, the clock, whether this process leads, where events go, and what asks the cluster."""

    storage: Storage
    receiving: Receiving
    clock: Callable[[], datetime]
    leads: Callable[[], bool]
    job_ends: JobEnds
    keys: KeyFeed
    usage: UsageReader


class EventSource(Protocol):
    """A source. Only the leader reads it. What it listens to, others tell it from their threads: it returns at once."""

    def start(self) -> None:
        """Starts its threads."""
        ...

    def stop(self) -> None:
        """Stops them."""
        ...

    def published(self, event_id: int) -> None:
        """A commit wrote events up to that id."""
        ...

    def jobs_listed(self, listing: Listing, namespaces: frozenset[str]) -> None:
        """All jobs, at the beginning of a stream."""
        ...

    def jobs_changed(self, happenings: Sequence[Happening]) -> None:
        """What followed."""
        ...

    def checks_listed(self, critical: Sequence[Check]) -> None:
        """All critical checks."""
        ...

    def lost(self) -> None:
        """Another process leads."""
        ...


class Deaf:
    """A source that listens to nothing: sources override what they listen to."""

    def published(self, event_id: int) -> None:
        """Does nothing, as the others."""

    def jobs_listed(self, listing: Listing, namespaces: frozenset[str]) -> None: ...
    def jobs_changed(self, happenings: Sequence[Happening]) -> None: ...
    def checks_listed(self, critical: Sequence[Check]) -> None: ...
    def lost(self) -> None: ...
