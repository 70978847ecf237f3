"""Chains entries of the audit log within a second of their commit, and logs the chain's head. Only the leader does."""

import threading
import time
from collections.abc import Callable

import structlog

from environments.domain.errors import CalvinverseError
from environments.service.audit_chain import AT_ONCE, AuditChain
from environments.service.storage.audit import Head

GATHERED = 0.2
"""Seconds for which entries are gathered before they are chained together."""

LOOKS_EVERY = 0.5
"""Seconds after which a database that other processes share is looked at: their commits don't wake this one."""

CHECKS_EVERY = 30.0
"""The same where no other process writes."""

HEAD_LOGGED_EVERY = 60.0
"""Seconds."""

PRUNED_EVERY = 3600.0
"""Seconds."""

_PAUSE = 1.0
"""Seconds after an error."""

log = structlog.get_logger()


class AuditChainer:
    """A thread that waits for commits."""

    def __init__(
        self,
        chain: AuditChain,
        leads: Callable[[], bool],
        *,
        shared: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`shared`: whether other processes write to the same database."""
        self._chain = chain
        self._leads = leads
        self._every = LOOKS_EVERY if shared else CHECKS_EVERY
        self._monotonic = monotonic
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit chainer", daemon=True)
        self._head: Head | None = None
        """The one that was logged last."""
        self._logged_at: float | None = None
        self._pruned_at: float | None = None

    def start(self) -> None:
        """Starts the thread, which first chains what an earlier process left."""
        self._woken.set()
        self._thread.start()

    def committed(self) -> None:
        """Wakes the thread: an entry was committed."""
        self._woken.set()

    def stop(self) -> None:
        """Stops the thread; what is committed by now is chained, and the head is logged."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def round(self) -> None:
        """Chains what isn't chained, prunes when it is time to, and logs the head if it is another one."""
        while self._chain.extend() == AT_ONCE:
            pass
        now = self._monotonic()
        if self._pruned_at is None or now - self._pruned_at >= PRUNED_EVERY:
            while self._chain.prune() and not self._stopping.is_set():
                pass
            self._pruned_at = now
        if self._logged_at is None or now - self._logged_at >= HEAD_LOGGED_EVERY:
            self._log_head(now)

    def _log_head(self, now: float) -> None:
        head = self._chain.head()
        if head != self._head and head.position:
            log.info("audit.head", position=head.position, hash=head.hash)
        self._head, self._logged_at = head, now

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = 0.0
            self._woken.wait(self._every)
            if not self._leads():
                self._stopping.wait(LOOKS_EVERY)
                continue
            self._stopping.wait(GATHERED)
            self._woken.clear()
            try:
                self.round()
            except CalvinverseError as error:
                log.warning("audit.not_chained", reason=error.message)
                pause = _PAUSE
            except Exception as error:  # the thread must not end: entries would stay unchained
                log.error("audit.fault", exc_info=error)
                pause = _PAUSE
            if pause:
                self._woken.set()
                self._stopping.wait(pause)
        self._finish()

    def _finish(self) -> None:
        if not self._leads():
            return
        try:
            while self._chain.extend() == AT_ONCE:
                pass
            self._log_head(self._monotonic())
        except CalvinverseError as error:
            log.warning("audit.not_chained", reason=error.message)
