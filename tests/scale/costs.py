"""Measures what one of each costs, on a site with few environments."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from images.report import Report
from tests.bench.memory import resident
from tests.scale import phases
from tests.scale.model import Costs, Line, Split
from tests.scale.site import Site, site

FEW = 100
"""Environments of the site on which costs are measured."""

MORE_WORKERS = 3
"""Idle ones that are there when others are measured: what one adds is a third of what they add."""


class Pages(NamedTuple):
    """Seconds of processor time for a page, with so many environments: of the service, and of PostgreSQL."""

    environments: int
    api: float
    postgres: float


class Base(NamedTuple):
    """Costs with few environments, and what a worker needs beside the processor."""

    costs: Callable[[Pages], Costs]
    """Given pages with more environments: how they grow."""
    connections: float
    """To PostgreSQL, of an idle worker."""
    worker_bytes: float
    stream_bytes: float
    """Of the service, for each open stream."""


def measure(folder: Path, report: Report) -> Base:
    """Takes about three minutes."""
    report(f"Costs, with {FEW} environments and one worker.")
    with site(folder / "one", FEW, 1) as one:
        idle = phases.quiet(one)
        deployed = phases.deploy(one)
        shown = phases.show(one).each(phases.READS)
        page = pages(one)
        before = resident(one.api.pid)
        silent = phases.happen(one)
        with phases.open_streams(one):
            stream_bytes = (resident(one.api.pid) - before) / phases.STREAMS
            watched = phases.quiet(one)
            told = phases.happen(one)
        event_bytes = one.number("SELECT pg_total_relation_size('events')") / one.number("SELECT count(*) FROM events")
        report(f"{MORE_WORKERS} more workers.")
        one.start_workers(MORE_WORKERS)
        idle_more = phases.quiet(one)
        woken = phases.happen(one)
        connections = _connections(one) / (2 + MORE_WORKERS)
        worker_bytes = resident(one.workers[-1].pid)
    second = idle.each(idle.seconds)
    worker = (idle_more.each(idle_more.seconds) - second) * (1 / MORE_WORKERS)
    worker = Split(0.0, max(worker.workers, 0.0), max(worker.postgres, 0.0))
    deployments = 2 * phases.DEPLOYMENTS
    beyond = deployed.cores - second * deployed.seconds
    wake = (_beyond(woken, idle_more) - _beyond(silent, idle)) * (1 / MORE_WORKERS)
    streams = watched.each(watched.seconds) - second
    hearing = _beyond(told, watched) - _beyond(silent, idle)

    def costs(many: Pages) -> Costs:
        return Costs(
            idle=second - worker,
            worker=worker,
            deployment=beyond * (1 / deployments),
            wake=Split(0.0, max(wake.workers, 0.0), max(wake.postgres, 0.0)),
            show=shown,
            page_api=Line.through((FEW, page.api), (many.environments, many.api)),
            page_postgres=Line.through((FEW, page.postgres), (many.environments, many.postgres)),
            stream=Split(max(streams.api, 0.0), 0.0, max(streams.postgres, 0.0)) * (1 / phases.STREAMS),
            told=Split(max(hearing.api, 0.0)) * (1 / phases.STREAMS),
            commits=deployed.commits / deployments,
            events=deployed.events / deployments,
            event_bytes=event_bytes,
            transactions=(idle_more.transactions / idle_more.seconds - idle.transactions / idle.seconds) / MORE_WORKERS,
        )

    return Base(costs, connections, worker_bytes, stream_bytes)


def pages(one: Site) -> Pages:
    """With as many environments as the site has."""
    used = phases.pages(one).each(phases.READS)
    return Pages(one.environments(), used.api, used.postgres)


def _beyond(used: phases.Used, quiet: phases.Used) -> Split:
    """Of one event, beyond what is needed while nothing happens."""
    return (used.cores - quiet.each(quiet.seconds) * used.seconds) * (1 / phases.EVENTS)


def _connections(one: Site) -> int:
    return one.number(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid() "
        "AND application_name != 'psql' AND usename = 'calvinverse'"
    )
