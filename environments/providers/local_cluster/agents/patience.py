"""Time limits that adapt to the load: on a busy machine the same work takes longer, without being stuck."""

import os
import time
from collections.abc import Callable


class Patience:
    """How long to wait for something, in seconds of a machine with nothing else to do.

    While more processes are runnable than there are processors, time counts less: half if there are twice as many. So
    waiting doesn't end because of other work, and on an idle machine it ends in time.

    `load` gives the runnable processes per processor; `now` gives seconds of a monotonic clock.
    """

    def __init__(
        self,
        seconds: float,
        *,
        load: Callable[[], float] | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._left = seconds
        self._load = load or load_per_processor
        self._now = now or time.monotonic
        self._checked_at = self._now()

    def left(self) -> float:
        """What is left of it. Call it again and again while waiting: each call counts since the last one."""
        now = self._now()
        self._left -= (now - self._checked_at) / max(1.0, self._load())
        self._checked_at = now
        return self._left

    def is_over(self) -> bool:
        """Whether the time is used up; see `left`."""
        return self.left() <= 0


def load_per_processor() -> float:
    """How many processes want to run, or wait for a disk, per processor: the average of the last minute.

    It follows a change slowly, so what runs at this moment counts as well where the system tells it (proc(5), loadavg).
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(os.getloadavg()[0], _runnable()) / processors


def wait_for(condition: Callable[[], bool], seconds: float, *, pause: float = 0.05) -> bool:
    """Whether the condition comes true within that time, see `Patience`."""
    patience = Patience(seconds)
    while not condition():
        if patience.is_over():
            return False
        time.sleep(pause)
    return True


def _runnable() -> float:
    """Scheduling entities that are runnable now; 0 where that isn't told."""
    try:
        with open("/proc/loadavg") as file:  # noqa: PTH123
            return float(file.read().split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 0.0
