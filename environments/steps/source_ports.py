"""What the sources of received events ask the cluster for: the ports of `environments.engine.event_sources`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class JobEnd:
    """How a job has ended by itself. `outcome`: complete or failed; `submitted`: in nanoseconds since 1970.

    `parent`: the job that it is a run of, "" if none.
    """

    outcome: str
    type: str
    parent: str
    submitted: int


class JobEnds(Protocol):
    """Asks Nomad how a job has ended."""

    def end(self, namespace: str, job: str) -> JobEnd | None:
        """None: it is gone, goes on, was stopped by somebody, or nothing of it has run. Raises `BackendError`."""
        ...


@dataclass(frozen=True)
class WatchedKey:
    """A key: when it was changed last, as an index, a digest of its value, and what begins its value.

    `text`: its first 1000 characters; "" if it isn't text. `flags`: 0 unless a step wrote it.
    """

    index: int
    digest: str
    text: str
    flags: int = 0


class KeyFeed(Protocol):
    """Keys of Consul, as a blocking query of one prefix."""

    def below(self, prefix: str, index: int, wait: float) -> tuple[int, Mapping[str, WatchedKey]]:
        """All keys with that prefix, and an index; waits `wait` seconds at most for a change from `index` (0: doesn't).

        The index is 0 if Consul's index has gone backwards: then it can't be waited for a change from there. Raises
        `BackendError`, also for more than `MOST_KEYS`, and `MachineError` without a Consul.
        """
        ...


MOST_KEYS = 1000
"""The most keys of a watched prefix."""

MOST_BYTES = 16 * 1024 * 1024
"""Bytes of all its values together."""


@dataclass(frozen=True)
class InstanceUse:
    """What an allocation uses. `cpu`: MHz of all its tasks, measured at the moment `at` (ns since 1970); None: unknown.

    `interface`: what carries its network on this machine; "" if that isn't known. `checks`: for each of its health
    checks that comes by the network, how often a minute.
    """

    id: str
    at: int
    cpu: float | None
    interface: str = ""
    checks: tuple[float, ...] = ()


class UsageReader(Protocol):
    """Asks what the allocations of an environment use."""

    def use(self, namespace: str) -> Mapping[str, InstanceUse] | None:
        """All allocations that run, by their ids; None: there is one that starts or can't be reached.

        Raises `BackendError`.
        """
        ...

    def moved(self) -> Mapping[str, int]:
        """How many bytes each interface of this machine has carried in both directions. Raises nothing: empty then."""
        ...
