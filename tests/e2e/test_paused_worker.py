"""A worker that stops in the middle of a module, its tofu with it, and wakes up when another one has done the work.

`CALVINVERSE_PAUSE` is how many seconds it sleeps: a little longer than a lease in the whole suite, a minute to be sure.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from environments.domain.lifecycle import State
from environments.wire.environments import CreateRequest
from images.toolchain import provider_mirror, require
from tests.fakes.counting_server import CountingServer
from tests.kill.running import TEMPLATE, push, tofus
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker, describe
from tests.support.multiprocess import TAKE_OVER, Member, until
from tests.support.postgres import Postgres

PAUSE = float(os.environ.get("CALVINVERSE_PAUSE", "20"))


@pytest.fixture
def members(cluster: Cluster, postgres: Postgres, tmp_path: Path) -> Iterator[list[Member]]:
    """One that answers and two that work, on the real cluster and a database that they share."""
    settings = {"CALVINVERSE_TOFU": str(require("tofu")["tofu"]), "CALVINVERSE_PROVIDERS": str(provider_mirror())}
    connections, database = cluster.agents.site.connections_file, postgres.new_database()
    members = [
        Member(tmp_path / name, role, database, postgres.password_file, tmp_path, connections, **settings)
        for name, role in (("api", "api"), ("one", "worker"), ("two", "worker"))
    ]
    try:
        yield [member.begin("environments") for member in members]
    finally:
        for member in reversed(members):
            if member.running:
                member.signal(signal.SIGCONT)
                member.stop()


def test_a_worker_and_its_tofu_that_wake_up_late_change_nothing(members: list[Member], taker: Taker) -> None:
    api, workers = members[0], members[1:]
    with CountingServer(delay=1.0) as things:
        images_here.publish(api.client, "web")
        push(api.client)
        before = taker.take()
        api.client.create(CreateRequest(name="paused", template=TEMPLATE, parameters={"server": things.address}))
        things.wait_until_asked("POST", "paused-0", seconds=60)
        names = {worker.pid: worker for worker in workers}
        deployment = api.client.environment("paused").deployment
        assert deployment is not None
        held = next(found for found in api.client.workers() if found.name == deployment.worker)
        sleeper = names[held.pid]
        children = tofus(sleeper.state)
        assert children
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        sleeper.signal(signal.SIGSTOP)
        asleep = time.monotonic()

        def taken() -> bool:
            now = api.client.environment("paused").deployment
            return now is not None and now.worker not in (None, held.name)

        until(taken, TAKE_OVER, f"nobody took it over:\n{api.story('paused')}")
        # Its watchdog wasn't paused: when the lease was over nothing of its tofu was left to wake up.
        assert tofus(sleeper.state) == []
        environment = api.wait_for("paused", State.READY, State.FAILED, seconds=120)
        assert environment.state is State.READY, api.story("paused")
        history = len(api.client.history("paused", limit=1000))
        time.sleep(max(0.0, asleep + PAUSE - time.monotonic()))
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        sleeper.signal(signal.SIGCONT)
        until(
            lambda: sleeper.says("deployment.interrupted", deployment=deployment.id),
            60,
            sleeper.log.read_text()[-3000:],
        )
        # Awake, it has seen that the deployment isn't its own any more, and nothing has happened since.
        assert len(api.client.history("paused", limit=1000)) == history, api.story("paused")
        assert api.client.environment("paused").state is State.READY
        assert taker.duplicates("paused") == []
        assert things.duplicates() == []
        assert sorted(things.objects()) == ["paused-0", "paused-1"]
        api.client.destroy("paused")
        environment = api.wait_for("paused", State.DESTROYED, State.DESTROY_FAILED, seconds=120)
        assert environment.state is State.DESTROYED, api.story("paused")
        assert things.objects() == {}
        left = taker.left_since(before)
        assert left == {}, f"{describe(left)}\n{api.story('paused')}"
