"""What many environments cost: list, show and the clock's sweep, from 100 to 10,000 of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from environments.engine.clock import Alarm, Retention
from environments.service.access import Principal
from environments.service.requests import Requests
from environments.stores.sealing import KeyFileSealer
from tests.bench.reading import fill, measure, open_filled
from tests.service_process import ServiceProcess

SIZES = (100, 1000, 10_000)
"""Environments in the database."""

LOOKS = 100
SWEEPS = 20

WHO = Principal("bench", "admin", "bench")


@dataclass(frozen=True)
class Scale:
    """Seconds, for one number of environments: whole list, show of one, a sweep that finds nothing due, and one that
    finds `due` whose time is over.
    """

    environments: int
    lists: list[float]
    shows: list[float]
    sweeps: list[float]
    busy_sweep: float
    due: int


def scale(folder: Path, template: Path, count: int) -> Scale:
    """Measures on SQLite, the slower one; list and show over HTTP, sweeps in this process."""
    service = ServiceProcess(folder)
    names = fill(service, template, count)
    service.start()
    try:
        lists, shows = measure(service, names, LOOKS)
    finally:
        service.stop()
    sweeps, busy, due = _sweeps(service, count)
    return Scale(count, lists, shows, sweeps, busy, due)


def _sweeps(service: ServiceProcess, count: int) -> tuple[list[float], float, int]:
    database = open_filled(service)
    try:
        later = timedelta(0)

        def clock() -> datetime:
            return datetime.now(UTC) + later

        numbers = iter(range(10**9))
        requests = Requests(
            database, KeyFileSealer(service.state / "key"), clock, lambda kind: f"{kind}-{next(numbers)}"
        )
        alarm = Alarm(database, requests, clock, Retention())
        alarm.tick()  # the first also forgets what is old
        sweeps = [_timed(alarm.tick) for _ in range(SWEEPS)]
        later = timedelta(hours=9)  # past every deadline
        return sweeps, _timed(alarm.tick), count
    finally:
        database.close()


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
