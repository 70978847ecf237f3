"""The kill matrix on real parts: whatever dies whenever, the deployment ends right; nothing is left, nothing is double.

A seeded sample in the whole suite; every cell in `doit test:kill-matrix`, which writes its table into the docs.
`CALVINVERSE_KILL_CELLS` is how many cells are drawn (0: all), `CALVINVERSE_SEED` repeats a run.
"""

import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.lifecycle import DeploymentKind
from images.places import CHECKOUT
from images.toolchain import provider_mirror, require
from tests.bench.figures import machine
from tests.bench.kept import write
from tests.fakes.counting_server import CountingServer
from tests.kill.points import POSTGRESQL, matrix
from tests.kill.running import Matrix, table
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker
from tests.support.postgres import Postgres
from tests.support.service_process import ServiceProcess

CELLS = int(os.environ.get("CALVINVERSE_KILL_CELLS", "6"))
SEED = int(os.environ.get("CALVINVERSE_SEED", str(random.SystemRandom().randrange(10**6))))
ONLY = os.environ.get("CALVINVERSE_KILL_ONLY", "")
"""Only cells whose description matches this, such as `^tofu` or `of destroy`."""

INSIDE = 2
"""Random moments within each step of each kind of deployment."""

PAGE = CHECKOUT / "docs" / "reference" / "kill-matrix.md"


@contextmanager
def running(
    state: Path, cluster: Cluster, taker: Taker, things: CountingServer, postgres: Postgres | None
) -> Iterator[Matrix]:
    """A service with tofu, on the real cluster."""
    settings = {
        "CALVINVERSE_TOFU": str(require("tofu")["tofu"]),
        "CALVINVERSE_PROVIDERS": str(provider_mirror()),
    }
    if postgres is not None:
        settings["CALVINVERSE_DATABASE"] = postgres.new_database()
        settings["CALVINVERSE_DATABASE_PASSWORD_FILE"] = str(postgres.password_file)
    service = ServiceProcess(state, cluster.agents.site.connections_file, **settings)
    service.start()
    try:
        images_here.publish(service.client, "web")
        matrix = Matrix(service, cluster, taker, things, postgres)
        matrix.prepare()
        yield matrix
    finally:
        service.stop()


@pytest.fixture
def things() -> Iterator[CountingServer]:
    """The server that counts."""
    with CountingServer() as server:
        yield server


@pytest.fixture
def embedded(cluster: Cluster, taker: Taker, things: CountingServer, tmp_path: Path) -> Iterator[Matrix]:
    """On SQLite: for everything but the death of the database."""
    with running(tmp_path / "embedded", cluster, taker, things, None) as matrix:
        yield matrix


@pytest.fixture
def shared(cluster: Cluster, taker: Taker, things: CountingServer, tmp_path: Path) -> Iterator[Matrix]:
    """On a PostgreSQL of its own, which will be killed."""
    server = Postgres()
    try:
        with running(tmp_path / "shared", cluster, taker, things, server.start()) as matrix:
            yield matrix
    finally:
        server.close()


def test_whatever_is_killed_everything_ends_right(embedded: Matrix, shared: Matrix) -> None:
    load, dice = os.getloadavg()[0], random.Random(SEED)
    undisturbed = embedded.undisturbed()
    assert set(undisturbed) == set(DeploymentKind) - {DeploymentKind.REPAIR, DeploymentKind.PROMOTE}
    points = matrix(undisturbed, dice, inside=INSIDE)
    if ONLY:
        points = [point for point in points if re.search(ONLY, str(point))]
    chosen = points if CELLS == 0 else dice.sample(points, min(CELLS, len(points)))
    print(f"seed {SEED}, {len(chosen)} of {len(points)} cells")
    verdicts = []
    for point in chosen:
        verdict = (shared if point.victim == POSTGRESQL else embedded).run(point)
        verdicts.append(verdict)
        print(
            f"{'WRONG' if verdict.faults else 'right'} {verdict.seconds:5.1f} s  {point}", *verdict.faults, sep="\n  "
        )
    print(table(verdicts))
    if CELLS == 0 and not ONLY:
        note = f"Seed {SEED}. {machine(load, datetime.now(UTC))}"
        write(PAGE, f"{note}\n\n{table(verdicts)}", "test:kill-matrix")
    wrong = [verdict for verdict in verdicts if verdict.faults]
    assert not wrong, f"seed {SEED}\n" + "\n\n".join(f"{cell.point}\n" + "\n".join(cell.faults) for cell in wrong)
