"""How soon a deployment is picked up, how soon a dead worker's is taken over, what idle workers cost, and how many a
minute several workers carry out: on real processes, with a step kind that needs no cluster.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.wire.environments import CreateRequest
from tests.support.multiprocess import Member
from tests.support.postgres import Postgres
from tests.support.service_process import ServiceProcess

SLOW = "tests.bench.slow"

LATENCY = 0.5
"""Seconds that each of a deployment's two steps takes, one after the other."""

TEMPLATE = f"""
[template]
name = "slow"
[[steps]]
name = "first"
uses = "test.thing"
with = {{ waits = {LATENCY} }}
[[steps]]
name = "second"
uses = "test.thing"
needs = ["first"]
with = {{ waits = {LATENCY} }}
"""

QUICK = """
[template]
name = "quick"
[[steps]]
name = "only"
uses = "test.thing"
"""

ENDLESS = """
[template]
name = "endless"
[[steps]]
name = "only"
uses = "test.thing"
timeout = "5m"
with = { waits = 120 }
"""


@contextmanager
def processes(folder: Path, postgres: Postgres | None, workers: int) -> Iterator[list[ServiceProcess]]:
    """A service that answers, and beside it so many workers (on PostgreSQL); on SQLite it is one process for all."""
    folder.mkdir(parents=True)
    if postgres is None:
        started: list[ServiceProcess] = [ServiceProcess(folder / "all")]
    else:
        database = postgres.new_database()
        names = ["api", *(f"worker-{number}" for number in range(workers))]
        started = [
            Member(
                folder / name,
                name.partition("-")[0],
                database,
                postgres.password_file,
                folder,
                CALVINVERSE_SLOTS_DEPLOY="8",
            )
            for name in names
        ]
    try:
        for process in started:
            process.start(module=SLOW)
        for text in (TEMPLATE, QUICK, ENDLESS):
            started[0].client.push(make_bundle({"template.toml": text.encode()}))
        yield started
    finally:
        for process in reversed(started):
            process.stop()


def pick_ups(service: ServiceProcess, count: int) -> list[float]:
    """Seconds from the moment that a request is written to the one at which a worker has claimed it."""
    names = [f"pick-{number}" for number in range(count)]
    times = []
    for name in names:
        service.client.create(CreateRequest(name=name, template="quick"))
        service.wait_for(name, State.READY, State.FAILED)
        deployment = service.client.deployments(name)[-1]
        assert deployment.started_at is not None
        times.append((deployment.started_at - deployment.requested_at).total_seconds())
    return times


def take_over(started: Sequence[ServiceProcess], name: str) -> float:
    """Seconds from a worker's SIGKILL to the moment at which another one goes on with its deployment."""
    api = started[0]
    api.client.create(CreateRequest(name=name, template="endless"))
    first = _holder(api, name, not_by="")
    by_pid = {worker.name: worker.pid for worker in api.client.workers()}
    victim = next(process for process in started[1:] if process.pid == by_pid[first])
    killed = time.monotonic()
    victim.kill()
    _holder(api, name, not_by=first)
    seconds = time.monotonic() - killed
    victim.start(module=SLOW)
    api.client.destroy(name)
    api.wait_for(name, State.DESTROYED)
    return seconds


def _holder(api: ServiceProcess, name: str, *, not_by: str) -> str:
    end = time.monotonic() + 60
    while True:
        deployment = api.client.environment(name).deployment
        if deployment is not None and deployment.worker not in (None, not_by):
            return deployment.worker or ""
        assert time.monotonic() < end, f"nobody took {name}:\n{api.story(name)}"
        time.sleep(0.02)


def idle(process: ServiceProcess, seconds: float) -> float:
    """Per cent of one core that a process uses while there is nothing to do."""
    before, began = used(process.pid), time.monotonic()
    time.sleep(seconds)
    return (used(process.pid) - before) / (time.monotonic() - began) * 100


def used(pid: int) -> float:
    """Seconds of processor time so far, its own and the kernel's for it (proc(5): fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def a_minute(service: ServiceProcess, count: int) -> float:
    """Deployments a minute, when so many are asked for at once."""
    names = [f"many-{number}" for number in range(count)]
    began = time.monotonic()
    for name in names:
        service.client.create(CreateRequest(name=name, template="slow"))
    for name in names:
        service.wait_for(name, State.READY, State.FAILED, seconds=300)
    return count / (time.monotonic() - began) * 60
