"""`doit bench:clock`: what the scheduler costs with 100,000 environments, how late it destroys; a storm of events."""

import logging
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
from images.report import console
from tests.bench import events
from tests.bench.figures import Figure, Sample
from tests.bench.telling import Run
from tests.support.decisions.parts import PLAIN
from tests.support.postgres import Postgres

COUNT = 100_000
DUE = 500
ROUNDS = 200
OWNERS = 50
EDITED = COUNT // OWNERS
SECONDS = 30.0
RULES = ("0 19 * * 1-5 Europe/Amsterdam", "30 6 1 * * America/New_York", "0 0 * * 0 UTC")


EVENTS = "events"
"""The part that can be measured alone."""


def main(only: str = "") -> bool:
    """Measures, prints, compares and keeps the figures. `only`: `events`, or all."""
    assert only in ("", EVENTS), f"there is no part {only!r}: {EVENTS}"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if not only:
        _measure_scheduler()
    _measure_events()
    return True


def _measure_events() -> None:
    report = console()
    run = Run(f"bench:clock --only {EVENTS}", report)
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
    run.tell(*events.figures(*storms))


def _measure_scheduler() -> None:
    report = console()
    run = Run("bench:clock", report)
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
        Figure.of("a round with nothing due, p95", samples[0], bar=50),
        Figure.of("how late a destroy is queued, p99", samples[1], 0.99, 1000),
        Figure(f"a policy for {EDITED} environments, until all deadlines are computed", edit * 1000),
        Figure("idle, in a second", idle * 1000),
    ]
    run.tell(figures, samples)


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
