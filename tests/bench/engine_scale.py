"""What many environments cost: list, show and a sweep by the scheduler, from 100 to 10,000 of them."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from environments.domain.holds import HoldLimits
from environments.engine.scheduler import Retention, Scheduler
from environments.service.authorization import Principal
from environments.service.channels import NoChannels
from environments.service.expiry import Expiry
from environments.service.warnings import Warnings
from tests.bench.reading import fill, measure, open_filled
from tests.support.service_process import ServiceProcess

SIZES = (100, 1000, 10_000)
"""Environments in the database."""

READS = 100
WHOLE = 5
"""Whole lists: nobody waits for one of 10,000 often."""

PAGE = 99
"""Environments of a page: what a screen shows, and less than the smallest number of environments."""

SWEEPS = 20

WHO = Principal("bench", "admin", "bench")


@dataclass(frozen=True)
class Scale:
    """Seconds, for one number of environments.

    A page of them, the whole list, show of one, a sweep that finds nothing due, and one that finds `due` ones.
    """

    environments: int
    pages: list[float]
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
        pages, shows = measure(service, names, READS, PAGE)
        lists, _ = measure(service, names, WHOLE)
    finally:
        service.stop()
    sweeps, busy, due = _sweeps(service, count)
    return Scale(count, pages, lists, shows, sweeps, busy, due)


def _sweeps(service: ServiceProcess, count: int) -> tuple[list[float], float, int]:
    # The scheduler logs each environment that it destroys.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    database = open_filled(service)
    try:
        later = timedelta(0)

        def clock() -> datetime:
            return datetime.now(UTC) + later

        numbers = iter(range(10**9))
        warnings = Warnings(database, clock, lambda kind: f"{kind}-{next(numbers)}", NoChannels(), lambda *_: "")
        limits = HoldLimits(above=count, at_once=count)  # all of them become due at once, and nobody was warned
        expiry = Expiry(database, clock, lambda kind: f"{kind}-{next(numbers)}", limits)
        scheduler = Scheduler(database, expiry, warnings, clock, Retention())
        scheduler.tick()  # the first also forgets what is old
        sweeps = [_timed(scheduler.tick) for _ in range(SWEEPS)]
        later = timedelta(hours=9)  # past every deadline

        def ask_for_all() -> None:
            while expiry.destroy_due():
                pass

        return sweeps, _timed(ask_for_all), count
    finally:
        database.close()


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
