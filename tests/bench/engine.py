"""`doit bench:engine`: what the engine adds to plain tofu, how soon it picks up and takes over, and how it scales."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import environments
from images.report import Report, console
from images.toolchain import provider_mirror, require
from tests.bench import engine_module, engine_queue
from tests.bench.engine_scale import PAGE, SIZES, Scale, scale
from tests.bench.figures import Better, Figure, Sample
from tests.bench.telling import Run
from tests.support.cluster import start_cluster
from tests.support.postgres import Postgres
from tests.support.service_process import ServiceProcess

ENOUGH = 10
"""Pairs of modules that the page in the docs is made from; fewer show a tendency."""

PICK_UPS = 100
TAKE_OVERS = 3
IDLE_SECONDS = 20.0
MANY = 40
"""Deployments that are asked for at once."""

WORKERS = (1, 2, 4)

WEB = Path(environments.__file__).parent / "templates" / "web"


def main(pairs: int = ENOUGH) -> bool:
    """Measures, prints and compares the figures, and keeps them if there were enough pairs."""
    report = console()
    run = Run("bench:engine", report)
    with tempfile.TemporaryDirectory(prefix="calvinverse-bench-") as name:
        folder = Path(name)
        ours, plain = _modules(folder / "modules", pairs, report)
        postgres = Postgres().start()
        try:
            queue = _queue(folder, postgres, report)
        finally:
            postgres.close()
        scales = [_scale(folder, count, report) for count in SIZES]
    picked, taken = queue.picked, queue.taken
    largest = scales[-1]
    samples = [
        Sample("`opentofu.module`, the whole step", ours),
        Sample("plain `tofu init` and `tofu apply` of the same module", plain),
        Sample("request to claim, PostgreSQL", picked["PostgreSQL"]),
        Sample("request to claim, SQLite", picked["SQLite"]),
        Sample("SIGKILL of a worker to its deployment going on", taken),
        *(Sample(f"a page of {PAGE} of {found.environments} environments", found.pages) for found in scales),
        *(Sample(f"the whole list of {found.environments} environments", found.lists) for found in scales),
        *(Sample(f"show one of {found.environments} environments", found.shows) for found in scales),
        *(Sample(f"sweep of {found.environments} environments, nothing due", found.sweeps) for found in scales),
        *(Sample(f"sweep of {found.environments} environments, all due", [found.busy_sweep]) for found in scales),
    ]
    figures = [
        Figure.between("a module: our median minus plain tofu's", samples[0], samples[1], 300),
        Figure.of("pick-up on PostgreSQL, p95", samples[2], bar=50),
        Figure.of("pick-up on SQLite, p95", samples[3], bar=150),
        Figure.of("take-over of a dead worker's deployment, longest", samples[4], 1.0, 30_000),
        Figure.of(f"sweep of {largest.environments} environments, p95", Sample("", largest.sweeps), bar=1000),
        Figure.of(f"a page of {PAGE} of {largest.environments} environments, p95", Sample("", largest.pages), bar=50),
        Figure.of(f"show one of {largest.environments} environments, p95", Sample("", largest.shows), bar=50),
        *queue.figures(),
    ]
    run.tell(figures, samples, too_few="" if pairs >= ENOUGH else f"{ENOUGH} pairs")
    return True


class _Queue:
    """What was measured of the queue."""

    def __init__(self) -> None:
        self.picked: dict[str, list[float]] = {}
        self.taken: list[float] = []
        self.idle: dict[str, float] = {}
        self.a_minute: dict[int, float] = {}

    def figures(self) -> Iterator[Figure]:
        """What has no percentiles."""
        for name, share in self.idle.items():
            yield Figure(f"idle {name}, of one core", share, unit="%")
        floor = 2 * engine_queue.LATENCY
        for workers, rate in self.a_minute.items():
            done_by = f"{workers} worker{'s' * (workers > 1)}"
            name = f"deployments a minute of two steps that take {floor:.0f} s, {done_by}"
            yield Figure(name, rate, unit="", better=Better.MORE)


def _queue(folder: Path, postgres: Postgres, report: Report) -> _Queue:
    found = _Queue()
    report(f"{PICK_UPS} pick-ups on SQLite.")
    with engine_queue.processes(folder / "sqlite", None, 0) as started:
        found.idle["service for all, SQLite"] = engine_queue.idle(started[0], IDLE_SECONDS)
        found.picked["SQLite"] = engine_queue.pick_ups(started[0], PICK_UPS)
    for workers in WORKERS:
        report(f"{MANY} deployments by {workers} of {WORKERS[-1]} workers on PostgreSQL.")
        with engine_queue.processes(folder / f"postgres-{workers}", postgres, workers) as started:
            if workers == WORKERS[0]:
                found.idle["worker, PostgreSQL"] = engine_queue.idle(started[1], IDLE_SECONDS)
                found.picked["PostgreSQL"] = engine_queue.pick_ups(started[0], PICK_UPS)
            found.a_minute[workers] = engine_queue.a_minute(started[0], MANY)
            if workers == WORKERS[1]:
                report(f"{TAKE_OVERS} workers are killed.")
                for number in range(TAKE_OVERS):
                    found.taken.append(engine_queue.take_over(started, f"taken-{number}"))
    return found


def _modules(folder: Path, pairs: int, report: Report) -> tuple[list[float], list[float]]:
    report(f"{pairs} pairs of a module, on a cluster of their own.")
    tofu = require("tofu")["tofu"]
    cluster = start_cluster(folder)
    try:
        service = ServiceProcess(
            folder / "service",
            cluster.agents.site.connections_file,
            CALVINVERSE_TOFU=str(tofu),
            CALVINVERSE_PROVIDERS=str(provider_mirror()),
        )
        service.start()
        try:
            engine_module.push(service)
            engine_module.ours(service, "warm")
            ours, plain = [], []
            for number in range(pairs):
                ours.append(engine_module.ours(service, f"pair-{number}"))
                plain.append(engine_module.plain(tofu, provider_mirror(), folder / f"plain-{number}"))
            return ours, plain
        finally:
            service.stop()
    finally:
        cluster.close()


def _scale(folder: Path, count: int, report: Report) -> Scale:
    report(f"List, show and sweep of {count} environments.")
    return scale(folder / f"scale-{count}", WEB, count)
