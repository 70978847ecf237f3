"""`doit bench:scale`: a load model, checked against runs with 1,000 and 10,000, and what breaks first far beyond.

Costs are measured with 100 environments and a few workers and streams, or taken from the kept figures of other benches.
The model must then predict what runs with more of them need. It says where it doesn't.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from images.report import Report, console
from tests.bench.figures import Figure, Measured, Table, shown
from tests.bench.kept import Unreadable, read
from tests.bench.telling import Run
from tests.scale import costs, phases
from tests.scale.database import database
from tests.scale.limits import LARGE, NOTE, Facts, limits, needs
from tests.scale.model import Costs, Line, Load, Split, first, need
from tests.scale.site import site
from tests.scale.streams import Passed, pass_on

ENVIRONMENTS = 10_000
"""Of the largest run; another has a tenth of it."""

RIGHT = 0.5
"""The model fails where what is measured differs from what it predicts by more than this share."""

OLDER_EVENTS = (100_000, 400_000, 1_600_000)
"""Events that stay beside log lines that are forgotten; fewer need less time than can be told from noise."""


class Checked(NamedTuple):
    """Something that was predicted and then measured; `with_` says with how many of what."""

    what: str
    with_: str
    predicted: float
    measured: float
    unit: str

    @property
    def off(self) -> float:
        """By which share the measured value is larger."""
        return self.measured / self.predicted - 1 if self.predicted else float("inf")

    def row(self) -> tuple[str, ...]:
        """Of the table."""
        verdict = "" if abs(self.off) <= RIGHT else "**fails**"
        predicted, measured = shown(self.predicted, self.unit), shown(self.measured, self.unit)
        return self.what, self.with_, predicted, measured, f"{self.off:+.0%}", verdict


def main(environments: int = ENVIRONMENTS) -> bool:
    """Measures, predicts, compares, and keeps what it found if there were enough environments."""
    assert environments // 10 > costs.FEW, f"it takes more than {10 * costs.FEW} environments"
    report = console()
    run = Run("bench:scale", report)
    with tempfile.TemporaryDirectory(prefix="calvinverse-bench-") as name:
        facts, checked = _measure(Path(name), environments, report)
    load = LARGE
    found = first(limits(facts), load)
    tables = [
        Table(
            ("what", "with", "predicted", "measured", "difference", ""), tuple(one.row() for one in checked), words=2
        ),
        Table(("a load of", ""), tuple(_load(load))),
        Table(("it needs", ""), tuple(needs(facts, load))),
        Table(
            ("what is needed", "by that load", "there is", "used up at", "environments", "workers", "streams"),
            tuple(
                _row(limit.name, limit.needed(load), limit.limit, limit.unit, limit.breaks_at(load)) for limit in found
            ),
        ),
    ]
    few = "" if environments >= ENVIRONMENTS else f"{ENVIRONMENTS} environments"
    run.tell(list(_figures(facts)), tables=tables, note=NOTE, too_few=few)
    return True


def _measure(folder: Path, many: int, report: Report) -> tuple[Facts, list[Checked]]:
    base = costs.measure(folder, report)
    checked: list[Checked] = []
    known: Costs | None = None
    for count in (many // 10, many):
        report(f"Everything at once, with {count} environments and two workers.")
        with site(folder / f"mixed-{count}", count, 2) as one:
            pages = costs.pages(one)
            if known is None:
                known = base.costs(pages)
            else:
                checked += _pages(known, pages)
            used, load = phases.mixed(one)
            checked += _mixed(known, used, load)
    assert known is not None
    report("Streams in one process.")
    streams = [pass_on(count) for count in (many // 10, many)]
    checked += _streams(*streams)
    with database(many) as measured:
        report("Claims with a long queue, commits, and old events.")
        commit = measured.commits()
        claims = [(count, measured.claims(count)) for count in (many // 100, many // 10, many)]
        forgotten = [(count, measured.forgetting(count).postgres) for count in OLDER_EVENTS]
    queues = [(count, took.postgres) for count, took in claims]
    claim, forget = Line.through(*queues[:2]), Line.through(*forgotten[:2])
    checked.append(_grown("a claim, PostgreSQL", "deployments queued", claim, *queues[-1]))
    checked.append(_grown("forgetting 5000 log lines, PostgreSQL", "older events", forget, *forgotten[-1]))
    checked += _kept_ones()
    facts = Facts(
        costs=known,
        connections=base.connections,
        worker_bytes=base.worker_bytes,
        stream_bytes=base.stream_bytes,
        commit_seconds=commit.passed,
        claim_seconds=claims[0][1].passed,
        forget=forget,
    )
    return facts, checked


def _mixed(known: Costs, used: phases.Used, load: Load) -> Iterator[Checked]:
    there = f"{load.environments} environments"
    wanted = need(load, known)
    cores = used.each(used.seconds)
    yield Checked("everything: cores of the service", there, wanted.cores.api, cores.api, "")
    yield Checked("everything: cores of all workers", there, wanted.cores.workers, cores.workers, "")
    yield Checked("everything: cores of PostgreSQL", there, wanted.cores.postgres, cores.postgres, "")
    yield Checked("everything: events in a second", there, wanted.events, used.events / used.seconds, "")
    yield Checked("everything: commits with events in a second", there, wanted.commits, used.commits / used.seconds, "")


def _pages(known: Costs, pages: costs.Pages) -> Iterator[Checked]:
    there = f"{pages.environments} environments"
    api, postgres = known.page_api.at(pages.environments), known.page_postgres.at(pages.environments)
    yield Checked("a page of 50 and the counts: the service", there, api * 1000, pages.api * 1000, "ms")
    yield Checked("a page of 50 and the counts: PostgreSQL", there, postgres * 1000, pages.postgres * 1000, "ms")


def _streams(few: Passed, many: Passed) -> Iterator[Checked]:
    there = f"{many.streams} streams"
    yield Checked(
        "memory of a stream, without its connection", there, few.bytes_each / 1024, many.bytes_each / 1024, "KiB"
    )
    told = "a commit with an event, for all streams"
    yield Checked(told, there, few.seen_each * many.streams * 1000, many.seen_each * many.streams * 1000, "ms")
    told = "the same, where nobody may see the event"
    yield Checked(told, there, few.unseen_each * many.streams * 1000, many.unseen_each * many.streams * 1000, "ms")


def _grown(what: str, of: str, line: Line, count: int, seconds: float) -> Checked:
    return Checked(what, f"{count} {of}", line.at(count) * 1000, seconds * 1000, "ms")


def _kept_ones() -> Iterator[Checked]:
    """From the kept figures of another bench, on SQLite: a line through 100 and 1,000, and what 10,000 took."""
    try:
        kept = read().get("bench:engine")
    except Unreadable:
        return
    if kept is None:
        return
    for what, name in (
        ("a page of 99, SQLite", "a page of 99 of {} environments"),
        ("the whole list, SQLite", "the whole list of {} environments"),
        ("a sweep with nothing due, SQLite", "sweep of {} environments, nothing due"),
        ("a sweep with all due, SQLite", "sweep of {} environments, all due"),
    ):
        found = [_median(kept, name.format(count)) for count in (100, 1000, 10_000)]
        if None not in found:
            few, more, most = (each or 0.0 for each in found)
            line = Line.through((100, few), (1000, more))
            yield Checked(what, "10000 environments", line.at(10_000), most, "ms")


def _median(kept: Measured, name: str) -> float | None:
    return next((sample.p50 for sample in kept.samples if sample.name == name), None)


def _load(load: Load) -> Iterator[tuple[str, ...]]:
    yield "environments", f"{load.environments:,}"
    yield "workers", f"{load.workers:,}"
    yield "open streams", f"{load.streams:,}"
    yield "deployments in a second", shown(load.deployments, "")
    yield "environments shown in a second", shown(load.shows, "")
    yield "pages of 50, with counts, in a second", shown(load.pages, "")


def _row(name: str, needed: float, limit: float, unit: str, at: float) -> tuple[str, ...]:
    places = (f"{round(count * at):,}" for count in (LARGE.environments, LARGE.workers, LARGE.streams))
    return name, shown(needed, unit), shown(limit, unit), f"{at:.2%}" if at < 0.1 else f"{at:.0%}", *places


def _figures(facts: Facts) -> Iterator[Figure]:
    of = facts.costs
    parts: list[tuple[str, Split]] = [
        ("a deployment of five steps", of.deployment),
        ("showing an environment", of.show),
        ("a commit with events, for each idle worker", of.wake),
        ("a commit with events, for each stream", of.told),
    ]
    for name, split in parts:
        for process, seconds in (("service", split.api), ("workers", split.workers), ("PostgreSQL", split.postgres)):
            if seconds:
                yield Figure(f"{name}: processor time, {process}", seconds * 1000)
    yield Figure("an idle worker, of one core", of.worker.workers * 100, unit="%")
    yield Figure("PostgreSQL for an idle worker, of one core", of.worker.postgres * 100, unit="%")
    yield Figure("transactions of an idle worker, in a second", of.transactions, unit="")
    yield Figure("connections of an idle worker", facts.connections, unit="")
    yield Figure("memory of an idle worker", facts.worker_bytes / 1024**2, unit="MiB")
    yield Figure("an idle stream: the service, of one core", of.stream.api * 100, unit="%")
    yield Figure("an idle stream: PostgreSQL, of one core", of.stream.postgres * 100, unit="%")
    yield Figure("memory of the service for a stream over TLS", facts.stream_bytes / 1024, unit="KiB")
    yield Figure("commits with events, of a deployment", of.commits, unit="")
    yield Figure("events of a deployment", of.events, unit="")
    yield Figure("an event on the disk", of.event_bytes, unit="B")
    yield Figure("a commit with an event: time that passes", facts.commit_seconds * 1000)
    yield Figure("a claim: time that passes", facts.claim_seconds * 1000)
