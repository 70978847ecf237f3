"""Keeps previews: a thread of the leader that looks for what is due, and one thread for each forge that has something.

A forge that is slow or away delays no other one. Now and then, and when this process becomes the leader, all triggers
are compared with their forges: what no event told of is found then.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from environments.domain.errors import CalvinverseError
from environments.domain.trigger import PlacedTrigger
from environments.engine.threads import ThreadForEach
from environments.service.preview_noting import PreviewNoting
from environments.service.previews import Previews

_EVERY = 0.5
"""Seconds between two looks."""

_TRIGGERS_EVERY = timedelta(seconds=5)
"""Between two looks at whether triggers have changed."""

_SWEEP = "sweep"

log = structlog.get_logger()


class PreviewKeeper:
    """Runs `Previews` for what `PreviewNoting` notes.

    `leads` says whether this process is the leader; `sweep` is the time between two comparisons.
    """

    def __init__(
        self,
        previews: Previews,
        noting: PreviewNoting,
        leads: Callable[[], bool],
        clock: Callable[[], datetime],
        sweep: timedelta = timedelta(minutes=10),
        every: float = _EVERY,
    ) -> None:
        self._previews = previews
        self._noting = noting
        self._leads = leads
        self._clock = clock
        self._sweep = sweep
        self._every = every
        self._stopping = threading.Event()
        self._threads = ThreadForEach()
        self._known: Mapping[str, PlacedTrigger | None] = {}
        self._triggers_at: datetime | None = None
        self._swept_at: datetime | None = None
        self._thread = threading.Thread(target=self._run, name="previews", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the threads. A call of a forge is waited for at most 5 s; what it was for is done at the next start."""
        self._stopping.set()
        self._thread.join(timeout=5)
        self._threads.join(5)

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            if self._leads():
                self._guarded(self._round)
            else:
                self._swept_at = self._triggers_at = None

    def _round(self) -> None:
        now = self._clock()
        self._threads.forget_ended()
        if self._swept_at is None or now - self._swept_at >= self._sweep:
            self._swept_at = now
            self._begin(_SWEEP, self._compare)
        if self._triggers_at is None or now - self._triggers_at >= _TRIGGERS_EVERY:
            self._triggers_at = now
            self._known = self._noting.follow_triggers(self._known)
        self._noting.follow()
        for webhook, ids in self._noting.due().items():
            self._begin(f"at {webhook}", partial(self._look, ids))

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        self._threads.begin(name, f"previews {name}", partial(self._guarded, work))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except CalvinverseError as error:
            log.warning("previews.failed", reason=error.message)
        except Exception as error:  # the main thread must not end: previews depend on it; another look follows
            log.error("previews.fault", exc_info=error)

    def _compare(self) -> None:
        self._noting.sweep()
        while not self._stopping.is_set() and self._noting.forget_ended():
            pass

    def _look(self, ids: Sequence[str]) -> None:
        for preview_id in ids:
            if self._stopping.is_set() or not self._leads():
                return
            try:
                self._previews.look(preview_id)
            except CalvinverseError as error:
                log.warning("previews.failed", preview=preview_id, reason=error.message)
