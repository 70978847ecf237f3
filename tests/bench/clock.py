"""`doit bench:clock`: what the scheduler costs with 100,000 environments, how late it destroys, and a storm of events.

A missed bar is said clearly but is no failure: speed depends on what else the machine does.
"""

import logging
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import text

from environments.domain.environment import Environment
from environments.domain.holds import HoldLimits
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.domain.timing import Because, OwnRule, Scope, Source, TimedAction
from environments.engine.clock_check import ClockCheck, FileBeats, boot_id
from environments.engine.scheduler import Retention, Scheduler
from environments.service.authorization import Principal
from environments.service.channels import NoChannels
from environments.service.expiry import Expiry
from environments.service.policies import Policies
from environments.service.retiming import Retiming
from environments.service.warnings import Warnings
from environments.service.zone_database import zone_database
from environments.stores.database import Database, open_database
from environments.stores.environment_rows import plain
from environments.stores.schema import environments as table
from images.places import CHECKOUT
from images.report import console
from tests.bench import events
from tests.bench.figures import Figure, Sample, machine, write
from tests.bench.figures import table as tables
from tests.support.decisions.parts import PLAIN
from tests.support.postgres import Postgres

COUNT = 100_000
DUE = 500
ROUNDS = 200
OWNERS = 50
EDITED = COUNT // OWNERS
SECONDS = 30.0
DOCUMENT = CHECKOUT / "docs" / "reference" / "performance.md"
RULES = ("0 19 * * 1-5 Europe/Amsterdam", "30 6 1 * * America/New_York", "0 0 * * 0 UTC")


EVENTS = "events"
"""The part that can be measured alone."""


def main(only: str = "") -> bool:
    """Measures, prints the figures, and writes them into the docs. `only`: `events`, or all."""
    assert only in ("", EVENTS), f"there is no part {only!r}: {EVENTS}"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if not only:
        _measure_scheduler()
    _measure_events()
    return True


def _measure_events() -> None:
    report, load = console(), os.getloadavg()[0]
    storms = []
    for workers, said in ((1, "to a service with a worker"), (0, "to one process")):
        report(f"{events.RATE:.0f} deliveries a second for {events.SECONDS:.0f} seconds {said}.")
        postgres = Postgres().start()
        try:
            with tempfile.TemporaryDirectory(prefix="calvinverse-bench-") as name:
                storm = events.measure(
                    Path(name),
                    postgres,
                    rate=events.RATE,
                    seconds=events.SECONDS,
                    triggers=events.TRIGGERS,
                    workers=workers,
                )
        finally:
            postgres.stop()
        storms.append(storm)
    _tell(*events.figures(*storms), load, f"bench:clock --only {EVENTS}")


def _tell(figures: list[Figure], samples: list[Sample], load: float, task: str) -> None:
    text_ = tables(figures, samples, machine(load, datetime.now(UTC)))
    print(text_)
    missed = [figure.name for figure in figures if not figure.met]
    print(f"\nMissed: {'; '.join(missed)}." if missed else "\nEvery bar is met.")
    write(DOCUMENT, text_, task)


def _measure_scheduler() -> None:
    report, load = console(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="calvinverse-bench-") as name:
        folder = Path(name)
        report(f"{COUNT} environments are written.")
        _fill(folder)
        start, rounds = _rounds(folder)
        report(f"{SECONDS:.0f} seconds with nothing due.")
        idle = _idle(folder)
        report(f"{DUE} deadlines in {SECONDS:.0f} seconds.")
        late = _late(folder)
        report(f"A policy for {EDITED}.")
        edit = _edit(folder)
    samples = [
        Sample("a round, nothing due", rounds),
        Sample("from a deadline to the queue", late),
    ]
    figures = [
        Figure(f"start with {COUNT} environments", start * 1000, 5000),
        Figure("a round with nothing due, p95", samples[0].p95, 50),
        Figure("how late a destroy is queued, p99", sorted(late)[int(len(late) * 0.99) - 1] * 1000, 1000),
        Figure(f"a policy for {EDITED} environments, until all deadlines are computed", edit * 1000),
        Figure("idle, in a second", idle * 1000),
    ]
    _tell(figures, samples, load, "bench:clock")


def _now() -> datetime:
    return datetime.now(UTC)


def _fill(folder: Path) -> None:
    database = open_database(folder)
    dice = random.Random(1)
    bundle = make_bundle({"template.toml": PLAIN.encode()})
    now = _now()
    try:
        with database.write() as tx:
            tx.templates.push("plain", bundle, "bench", now)
        for first in range(0, COUNT, 5000):
            rows = [_row(number, bundle.digest, now, dice) for number in range(first, first + 5000)]
            with database.write() as tx:
                tx._connection.execute(table.insert(), rows)
    finally:
        database.close()


def _row(number: int, bundle: str, now: datetime, dice: random.Random) -> dict[str, object]:
    created = now - timedelta(days=1)
    deadline = now + timedelta(minutes=90) + timedelta(days=30) * dice.random()
    own = OwnRule(action=TimedAction.DESTROY, rule=dice.choice(RULES), since=deadline, by="bench")
    environment = Environment(
        id=f"env-{number:012}",
        name=f"bench-{number}",
        owner=f"owner-{number % OWNERS}",
        template="plain",
        template_version="1",
        bundle=bundle,
        state=State.READY,
        state_since=created,
        created_at=created,
        deadline=deadline,
        deadline_because=Because(source=Source.LIFETIME),
        set_deadline=deadline,
        set_because=Because(source=Source.LIFETIME),
        rules=(own,) if number % 2 else (),
        rules_from=deadline,
    )
    return plain({name: getattr(environment, name) for name in Environment.model_fields})


def _scheduler(database: Database, folder: Path) -> Scheduler:
    numbers = iter(range(10**9))
    expiry = Expiry(database, _now, lambda kind: f"{kind}-{next(numbers)}", HoldLimits())
    check = ClockCheck(database, _now, boot=boot_id(), beats=FileBeats(folder / "clock-marks"))
    warnings = Warnings(database, _now, lambda kind: f"{kind}-{next(numbers)}", NoChannels(), lambda *_: "")
    return Scheduler(database, expiry, warnings, _now, Retention(), clock_check=check)


def _rounds(folder: Path) -> tuple[float, list[float]]:
    began = time.perf_counter()
    database = open_database(folder)
    try:
        scheduler = _scheduler(database, folder)
        scheduler.round()
        start = time.perf_counter() - began
        return start, [_timed(scheduler.round) for _ in range(ROUNDS)]
    finally:
        database.close()


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


@contextmanager
def _running(folder: Path) -> Iterator[Database]:
    database = open_database(folder)
    scheduler = _scheduler(database, folder)
    scheduler.start()
    try:
        yield database
    finally:
        scheduler.stop()
        database.close()


def _idle(folder: Path) -> float:
    """Seconds of processor time in a second."""
    with _running(folder):
        time.sleep(2)
        began = time.process_time()
        time.sleep(SECONDS)
        return (time.process_time() - began) / SECONDS


def _late(folder: Path) -> list[float]:
    dice = random.Random(2)
    deadlines = {}
    with _running(folder) as database:
        begin = _now() + timedelta(seconds=3)
        with database.write() as tx:
            for number in range(DUE):
                deadlines[f"env-{number:012}"] = deadline = begin + timedelta(seconds=SECONDS * dice.random())
                values = {"set_deadline": deadline, "deadline": deadline, "rules": (), "warned": True, "warn_at": None}
                tx.environments.change(f"env-{number:012}", **values, warned_at=begin - timedelta(hours=1))
        ended = threading.Event()
        worker = threading.Thread(target=_work, args=(database, ended), daemon=True)
        worker.start()
        time.sleep(SECONDS + 10)
        ended.set()
        worker.join()
        with database.read() as tx:
            asked = {of: tx.deployments.of(of) for of in deadlines}
    missing = [of for of, found in asked.items() if len(found) != 1]
    assert not missing, f"not destroyed once: {missing}"
    return [max((found[0].requested_at - deadlines[of]).total_seconds(), 0.0) for of, found in asked.items()]


def _work(database: Database, ended: threading.Event) -> None:
    """Stands for workers, so that the queue doesn't fill up."""
    while not ended.wait(0.2):
        with database.write() as tx:
            tx._connection.execute(text("UPDATE deployments SET state = 'succeeded' WHERE state = 'queued'"))


def _edit(folder: Path) -> float:
    """Seconds from the request to the last deadline that follows from it."""
    database = open_database(folder)
    retiming = Retiming(database, _now, zone_database)
    retiming.settle()
    policies = Policies(database, _now, retiming)
    rule = (TimedAction.DESTROY, "0 20 * * 1-5 Europe/Amsterdam")
    try:
        began = time.perf_counter()
        policies.set(Principal("bench", "admin", "tok-bench"), Scope.OWNER, "owner-7", [rule], None)
        retiming.settle()
        return time.perf_counter() - began
    finally:
        database.close()
