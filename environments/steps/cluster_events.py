"""Events of the cluster, from Nomad's event stream and Consul's health: the ports of the engine's `ClusterFollower`.

Listings and events have the same records. Each has the index at which it was true: of two, the newer one counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

ENDED = frozenset({"complete", "failed", "lost"})
"""Client states of allocations that have ended."""


@dataclass(frozen=True)
class SeenTask:
    """A task of an instance. Times are in nanoseconds since 1970, 0: never.

    `begun`: Nomad has begun to set it up. `failed_at`, `failure`: when it last failed by itself, and what Nomad says of
    that; not when somebody asked it to end. `started_at`: when it last started.
    """

    name: str
    state: str
    begun: bool = False
    failed_at: int = 0
    failure: str = ""
    started_at: int = 0


@dataclass(frozen=True)
class SeenInstance:
    """An allocation. `desired` and `client` as in `nomad_ports.Allocation`; `at`: when it changed last, likewise.

    `replaced`: another allocation stands in for it. `delayed`: one will, later.
    """

    namespace: str
    job: str
    id: str
    group: str
    node: str
    desired: str
    client: str
    index: int
    at: int
    replaced: bool = False
    delayed: bool = False
    tasks: tuple[SeenTask, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.client in ENDED

    @property
    def given_up(self) -> bool:
        """Whether it failed, and Nomad doesn't replace it."""
        failed = self.client in ("failed", "lost")
        return failed and self.desired == "run" and not self.replaced and not self.delayed


@dataclass(frozen=True)
class SeenJob:
    """A job. `count`: instances of all groups together. `starts_later`: it only runs children.

    `parent`: the job that it is a run of, "" if none; `submitted`: when it was registered, in nanoseconds since 1970.
    `dead`: nothing of it runs or will run.
    """

    namespace: str
    id: str
    type: str
    count: int
    stopped: bool
    index: int
    parent: str = ""
    starts_later: bool = False
    submitted: int = 0
    dead: bool = False


@dataclass(frozen=True)
class GoneJob:
    """A job that Nomad has deleted."""

    namespace: str
    id: str
    index: int


Happening = SeenInstance | SeenJob | GoneJob


@dataclass(frozen=True)
class Listing:
    """All jobs, and all instances but those that have completed, of all namespaces."""

    jobs: Sequence[SeenJob] = ()
    instances: Sequence[SeenInstance] = ()


class JobStream(Protocol):
    """An open stream of events. Used by one thread, except for `close`.

    `namespaces` are those that it covers: all that existed when it was opened. It never covers later ones.
    """

    namespaces: frozenset[str]

    def listing(self) -> Listing:
        """The present state. Events since the stream was opened come in `batches`. Raises `BackendError`."""
        ...

    def batches(self) -> Iterator[Sequence[Happening]]:
        """Events in order, some of them possibly twice; an empty batch is a sign of life, every few seconds.

        Ends when `close` is called. Raises `BackendUnavailable` if the stream is cut or silent, and `BackendError`.
        """
        ...

    def close(self) -> None:
        """Closes the stream; may be called by any thread, and repeatedly."""
        ...


class JobFeed(Protocol):
    """Nomad's event stream."""

    def open(self) -> JobStream:
        """A stream of all events from now on. Raises `BackendError`, and `MachineError` without a Nomad."""
        ...


@dataclass(frozen=True)
class Check:
    """A critical check. `kind` is that of such resources; `output` is what the checked service said, of any length."""

    kind: str
    service: str
    service_id: str
    check: str
    output: str = field(default="", compare=False)


class CheckFeed(Protocol):
    """Consul's health, as a blocking query over all services."""

    def critical(self, index: int, wait: float) -> tuple[int, Sequence[Check]]:
        """All critical checks of services of environments, and an index; waits for a change from `index` (0: doesn't).

        `wait`: seconds, at most. Of one environment some hundred are given. Raises `BackendError`, and `MachineError`
        without a Consul.
        """
        ...


MOST_CHECKS = 100
"""Maximum critical checks of one environment: further ones are ignored."""
