"""What runs of an environment, and the files in which its output is: tasks of allocations, as Nomad has them."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ALLOCATION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An allocation's id, as Nomad makes it."""


class Stream(StrEnum):
    """Where a program writes to."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True)
class Container:
    """A task of an allocation. `state` is pending, running or dead; times are UTC.

    `job` is the id of its job, or of the run of a periodic or parameterized one, which begins with the id of that job.
    """

    job: str
    group: str
    task: str
    allocation: str
    version: int
    state: str
    failed: bool
    restarts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        """Whether it will write nothing more."""
        return self.state == "dead"


@dataclass(frozen=True)
class LogFile:
    """One of the files of a stream, which Nomad numbers upwards; the oldest ones are deleted. `size` in bytes."""

    stream: Stream
    number: int
    size: int
