"""The thread of a source: it looks in rounds, while this process leads."""

import threading
import time
from collections.abc import Callable

import structlog

from environments.domain.errors import CalvinverseError, MachineError

_WITHOUT = 2.0
"""Seconds between two looks at whether this process leads, and whether there is a backend."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
"""Seconds after a round that failed: doubled from the first to the longest."""

log = structlog.get_logger()


class Rounds:
    """Calls `look`, which returns the seconds until it wants to be called again; `wake` calls it earlier.

    `lost` is called once this process leads no more. Rounds begin at least `least` seconds apart.
    """

    def __init__(
        self,
        name: str,
        look: Callable[[], float],
        leads: Callable[[], bool],
        lost: Callable[[], None] = lambda: None,
        least: float = 0.1,
    ) -> None:
        self._name = name
        self._look = look
        self._leads = leads
        self._lost = lost
        self._least = least
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread. A query that waits for a change is not waited for: it changes nothing."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(timeout=2)

    def wake(self) -> None:
        """There may be something to see."""
        self._woken.set()

    def _run(self) -> None:
        led, pause = False, _FIRST_PAUSE
        while not self._stopping.is_set():
            if not self._leads():
                if led:
                    self._lost()
                led = False
                self._stopping.wait(_WITHOUT)
                continue
            led = True
            self._woken.clear()
            began = time.monotonic()
            try:
                wait, pause = self._look(), _FIRST_PAUSE
            except MachineError:
                wait = _WITHOUT  # no such backend is configured, or not yet
            except CalvinverseError as error:
                if pause == _FIRST_PAUSE:
                    log.warning("source.failed", source=self._name, reason=error.message)
                wait, pause = pause, min(pause * 2, _LONGEST_PAUSE)
            except Exception as error:  # the thread must not end: nothing of its source would be noticed any more
                if pause == _FIRST_PAUSE:
                    log.error("source.fault", source=self._name, exc_info=error)
                wait, pause = pause, min(pause * 2, _LONGEST_PAUSE)
            self._woken.wait(max(wait, self._least))
            self._stopping.wait(max(0.0, began + self._least - time.monotonic()))
