"""What the edge does while it runs: it follows signals, and reads again what it was told to read again."""

import signal
import sys
import threading
from queue import SimpleQueue

from .admin import LoadFailed
from .caddy import Caddy

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

Signals = SimpleQueue[int]
"""Numbers of signals in the order in which they came. Unlike a lock, its `put` may run inside of a signal handler."""


class Switcher:
    """Moves Caddy to a new configuration when it is asked to, one after the other, in a thread of its own.

    Requests that come while it is at it are answered by one more move.
    """

    def __init__(self, caddy: Caddy) -> None:
        self._caddy = caddy
        self._wanted = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def ask(self) -> None:
        """Something that the configuration is made of has changed."""
        self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                self._caddy.switch()
                self._caddy.settle()
                log("The certificate is read again.")
            except LoadFailed as error:
                log(f"The certificate isn't read again: {error}")


def follow(caddy: Caddy, signals: Signals) -> int:
    """Does what the `signals` of `listen` say until Caddy ends; its exit status, 0 after SIGTERM and SIGINT."""
    switcher = Switcher(caddy)
    while True:
        received = signals.get()
        if received == signal.SIGHUP:
            switcher.ask()
        elif received != signal.SIGCHLD:
            caddy.stop()
            return 0
        if (status := caddy.ended()) is not None:
            return status


def listen() -> Signals:
    """The signals that this process receives from here on; call it before Caddy is started, so that none is lost."""
    received: Signals = SimpleQueue()
    for number in _SIGNALS:
        signal.signal(number, lambda number, _frame: received.put(number))
    return received


def log(line: str) -> None:
    """A line for people on standard error."""
    print(f"edge: {line}", file=sys.stderr, flush=True)
