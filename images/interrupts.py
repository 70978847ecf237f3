"""Ctrl-C or a lost terminal while threads work: their commands are killed, they clean up, then the program exits.

Python delivers a signal to the main thread only, and doit's worker threads end with the program wherever they are.
So the handler kills the commands, waits until the threads have cleaned up, and only then stops the main thread.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from images import process_groups

STOPPED = 130
"""The status that shells expect after Ctrl-C (128 + SIGINT)."""

GRACE = 60.0
"""Seconds that threads have to clean up after a signal."""

_stopping = threading.Event()
_working: set[int] = set()
_lock = threading.Lock()


def stopping() -> bool:
    """Whether the program was told to stop."""
    return _stopping.is_set()


@contextmanager
def delaying_exit() -> Iterator[None]:
    """Work of this thread that the program waits for before it exits."""
    me = threading.get_ident()
    with _lock:
        inside = me in _working
        _working.add(me)
    try:
        yield
    finally:
        if not inside:
            with _lock:
                _working.discard(me)


def handle_signals() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP stop the program in this way. Does nothing outside of the main thread.

    A program that was started to outlive its terminal (`nohup`) ignores SIGHUP, and continues to.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _stop)
        signal.signal(signal.SIGTERM, _stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    _stopping.set()
    process_groups.kill_all()
    deadline = time.monotonic() + GRACE
    # No lock here: the handler may have interrupted the thread that holds it.
    while _working - {threading.get_ident()} and time.monotonic() < deadline:
        time.sleep(0.05)
    if threading.get_ident() in _working:
        raise KeyboardInterrupt
    # The work was in other threads, which have reported their end: there is nothing to say.
    raise SystemExit(STOPPED)
