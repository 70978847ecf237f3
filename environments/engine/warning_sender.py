"""Delivers queued warnings: a thread that looks once a second, and a thread for each channel that has something to do.

Only the leader delivers. A channel that is slow or down delays no other one.
"""

import threading
from collections.abc import Callable
from functools import partial

import structlog

from environments.domain.errors import CalvinverseError
from environments.engine.threads import ThreadForEach
from environments.service.warnings import Warnings

_EVERY = 1.0
"""Seconds between two looks."""

_AT_ONCE = 20
"""Attempts of a channel between two looks at whether this process is still the leader."""

log = structlog.get_logger()


class WarningSender:
    """Runs `Warnings.deliver`. `leads` says whether this process is the leader."""

    def __init__(self, warnings: Warnings, leads: Callable[[], bool], every: float = _EVERY) -> None:
        self._warnings = warnings
        self._leads = leads
        self._every = every
        self._stopping = threading.Event()
        self._channels = ThreadForEach()
        self._thread = threading.Thread(target=self._run, name="warnings", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the threads. An attempt that goes on is not waited for longer than 5 s: the next start repeats it."""
        self._stopping.set()
        self._thread.join(timeout=5)
        self._channels.join(5)

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            if not self._leads():
                continue
            try:
                due = self._warnings.channels_due()
            except CalvinverseError as error:
                log.warning("warnings.failed", reason=error.message)
                continue
            except Exception as error:  # the thread must not end: warnings depend on it
                log.error("warnings.fault", exc_info=error)
                continue
            self._channels.forget_ended()
            for channel in due:
                self._channels.begin(channel, f"by-{channel}", partial(self._deliver, channel))

    def _deliver(self, channel: str) -> None:
        try:
            while not self._stopping.is_set() and self._leads() and self._warnings.deliver(channel, _AT_ONCE):
                pass
        except CalvinverseError as error:
            log.warning("warnings.failed", channel=channel, reason=error.message)
        except Exception as error:  # another look follows
            log.error("warnings.fault", channel=channel, exc_info=error)
