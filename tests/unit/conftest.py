"""Unit tests need nothing but the locked packages: one that starts or opens anything else fails."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import psycopg
import pytest

# Thousands of tests and all modules stay for the whole run: the collector examines them less often.
gc.set_threshold(50_000, 20, 20)

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
"""What no unit test does, by Python's audit events. Threads and PostgreSQL's driver have none."""

_guarded = threading.local()
"""Whether a unit test runs in this thread."""


def refuse(deed: str) -> NoReturn:
    """Fails the test; handlers of exceptions don't catch this failure."""
    pytest.fail(f"A unit test must not {deed}. Tests that do are in tests/component.")


def _audit(event: str, _: tuple[object, ...]) -> None:
    if event in REFUSED and getattr(_guarded, "on", False):
        refuse(REFUSED[event])


sys.addaudithook(_audit)


def _refuse_thread(*_: object) -> NoReturn:
    refuse("start a thread")


def _refuse_database(*_: object, **__: Any) -> NoReturn:
    refuse("connect to a database")


_patches = pytest.MonkeyPatch()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Guards the test and all its fixtures, those of a session included, until its teardown is over."""
    _patches.setattr(threading.Thread, "start", _refuse_thread)
    _patches.setattr(psycopg.Connection, "connect", _refuse_database)
    _patches.setattr(psycopg, "connect", _refuse_database)
    _guarded.on = True
    yield


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Ends the guard."""
    try:
        yield
    finally:
        _guarded.on = False
        _patches.undo()


@pytest.fixture(autouse=True)
def _sleep_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep moves the monotonic clock on at once: waits and time limits run as they would, and nobody waits.

    No other thread could end the wait for a condition: it takes its whole time limit, and must have one.
    """
    slept, monotonic = 0.0, time.monotonic
    wait_really, wait_for_really = threading.Condition.wait, threading.Condition.wait_for

    def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds

    def wait(condition: threading.Condition, timeout: float | None = None) -> bool:
        if not getattr(_guarded, "on", False):
            return wait_really(condition, timeout)  # a thread of pytest's own
        if timeout is None:
            refuse("wait for another thread without a time limit")
        sleep(max(0.0, timeout))
        return False

    def wait_for(condition: threading.Condition, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        if not getattr(_guarded, "on", False):
            return wait_for_really(condition, predicate, timeout)
        return predicate() or condition.wait(timeout) or predicate()

    monkeypatch.setattr(threading.Condition, "wait", wait)
    monkeypatch.setattr(threading.Condition, "wait_for", wait_for)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + slept)
