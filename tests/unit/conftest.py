"""Unit tests need nothing but the locked packages: starting or opening anything else fails them."""

import sys
import threading
from collections.abc import Iterator

import pytest

REFUSED = {
    "socket.__new__": "open a socket",
    "sqlite3.connect": "connect to a database",
    "subprocess.Popen": "start a program",
    "os.system": "start a program",
    "os.posix_spawn": "start a program",
    "os.exec": "start a program",
    "os.fork": "start a process",
    "os.forkpty": "start a process",
}
"""What no unit test does, by Python's audit events."""

_guarded = threading.local()
"""Whether a unit test runs in this thread."""


def _refuse(deed: str) -> None:
    """Fails the unit test that is running in this thread; handlers of exceptions don't catch this failure."""
    if getattr(_guarded, "on", False):
        pytest.fail(f"A unit test must not {deed}. Tests that do are in tests/component.")


def _audit(event: str, _: tuple[object, ...]) -> None:
    deed = REFUSED.get(event)
    if deed is not None:
        _refuse(deed)


sys.addaudithook(_audit)
_start_thread = threading.Thread.start


def _refuse_thread(thread: threading.Thread) -> None:
    _refuse("start a thread")
    _start_thread(thread)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Guards the test and all its fixtures, those of a session included, until its teardown is over."""
    threading.Thread.start = _refuse_thread  # type: ignore[method-assign]
    _guarded.on = True
    yield


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Ends the guard."""
    try:
        yield
    finally:
        _guarded.on = False
        threading.Thread.start = _start_thread  # type: ignore[method-assign]
