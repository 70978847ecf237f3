"""The process groups of the commands that run, so that all of them can be killed from a signal handler."""

import contextlib
import os
import signal

_running: set[int] = set()


def add(group: int) -> None:
    """Register a process group that this program has started."""
    _running.add(group)


def discard(group: int) -> None:
    """Forget a process group whose command has ended."""
    _running.discard(group)


def kill_all() -> None:
    """Kill every registered process group. Takes no lock, so a signal handler can call it."""
    for group in tuple(_running):
        kill(group)


def kill(group: int) -> None:
    """Kill a process group that this program has started; does nothing if it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
