"""`doit bench`: measures what we add to a plain script that makes the same calls, and the API with many environments.

The service speaks TLS, as the deployed one does.
"""

import tempfile
from pathlib import Path

import environments
from images.report import Report, console
from tests.bench.figures import Figure, Sample
from tests.bench.pairs import Pairs, Times
from tests.bench.reading import fill, measure, measure_command
from tests.bench.telling import Run
from tests.support import images_here
from tests.support.authorities import make_authority
from tests.support.cluster import start_cluster
from tests.support.service_process import ServiceProcess

PAIRS = 30
"""What the page in the docs is made from; fewer show a tendency."""

ENVIRONMENTS = 1000
READS = 200
COMMANDS = 10

WEB = Path(environments.__file__).parent / "templates" / "web"


def main(pairs: int = PAIRS) -> bool:
    """Measures, prints and compares the figures, and keeps them if there were enough pairs."""
    report = console()
    run = Run("bench", report)
    with tempfile.TemporaryDirectory(prefix="calvinverse-bench-") as folder:
        reads = _reads(Path(folder) / "reading", report)
        ours, theirs = _pairs(Path(folder) / "pairs", pairs, report)
    samples = [
        Sample("create to job registered, Calvinverse", [times.registered for times in ours]),
        Sample("create to job registered, plain script", [times.registered for times in theirs]),
        Sample("create to ready, Calvinverse", [times.ready for times in ours]),
        Sample("create to ready, plain script", [times.ready for times in theirs]),
        Sample("destroy, Calvinverse", [times.destroyed for times in ours]),
        Sample("destroy, plain script", [times.destroyed for times in theirs]),
        *reads,
    ]
    figures = [
        Figure.between("create to job registered: our median minus the script's", samples[0], samples[1], 150),
        Figure.between("create to ready: our median minus the script's", samples[2], samples[3], 250),
        Figure.between("destroy: our median minus the script's", samples[4], samples[5]),
        Figure.of(f"list {ENVIRONMENTS} environments, p95", reads[0], bar=50),
        Figure.of(f"show one of {ENVIRONMENTS} environments, p95", reads[1], bar=50),
    ]
    run.tell(figures, samples, too_few="" if pairs >= PAIRS else f"{PAIRS} pairs")
    return True


def _reads(folder: Path, report: Report) -> list[Sample]:
    report(f"List and show with {ENVIRONMENTS} environments in the database.")
    service = ServiceProcess(folder).secured(make_authority())
    names = fill(service, WEB, ENVIRONMENTS)
    try:
        service.start()
        lists, shows = measure(service, names, READS)
        commands = measure_command(service, COMMANDS)
    finally:
        service.stop()
    return [
        Sample(f"list {ENVIRONMENTS} environments, client over HTTPS", lists),
        Sample(f"show one of {ENVIRONMENTS} environments, client over HTTPS", shows),
        Sample(f"`calvinverse env list` with {ENVIRONMENTS} environments, whole process", commands),
    ]


def _pairs(folder: Path, count: int, report: Report) -> tuple[list[Times], list[Times]]:
    report(f"{count} pairs of create and destroy of web, on a cluster of their own: registered / ready / destroyed.")
    cluster = start_cluster(folder)
    try:
        connections = cluster.agents.site.connections_file
        service = ServiceProcess(folder / "service", connections).secured(make_authority())
        try:
            service.start()
            images_here.publish(service.client, "web")
            pairs = Pairs(service, cluster.connections, WEB, report)
            try:
                return pairs.run(count)
            finally:
                pairs.close()
        finally:
            service.stop()
    finally:
        cluster.close()
