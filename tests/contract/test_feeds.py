"""What the engine relies on in the streams of Nomad and Consul."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pytest

from environments.providers.backend.connections import Connections
from environments.providers.consul.client import ConsulClient
from environments.providers.consul.feed import ConsulFeed
from environments.providers.consul.ports import Instance
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.feed import NomadFeed
from environments.providers.nomad.ports import NomadApi
from environments.steps.cluster_events import (
    MOST_CHECKS,
    Check,
    CheckFeed,
    GoneJob,
    Happening,
    JobFeed,
    JobStream,
    SeenInstance,
    SeenJob,
)
from environments.steps.hcl import literals as hcl
from tests.contract.test_nomad import JOB
from tests.fakes.backends.consul import MemoryConsul
from tests.fakes.backends.feeds import MemoryCheckFeed, MemoryJobFeed
from tests.fakes.backends.nomad import MemoryNomad
from tests.support import images_here


class Sides(NamedTuple):
    nomad: NomadApi
    feed: JobFeed


@pytest.fixture(params=["memory", "real"])
def sides(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> Sides:
    if request.param == "real":
        return Sides(NomadClient(real), NomadFeed(real))
    nomad = MemoryNomad()
    return Sides(nomad, MemoryJobFeed(nomad))


@pytest.fixture
def namespace(sides: Sides, name: str) -> Iterator[str]:
    sides.nomad.write_namespace(name, "a test", {})
    yield name
    for job in sides.nomad.jobs(name):
        sides.nomad.deregister(name, job, purge=True)
    end = time.monotonic() + 120
    while sides.nomad.namespace(name) is not None and time.monotonic() < end:
        with contextlib.suppress(Exception):
            sides.nomad.remove_namespace(name)
        time.sleep(0.2)


class Heard:
    """Follows a stream in a thread."""

    def __init__(self, stream: JobStream) -> None:
        self.happened: list[Happening] = []
        self.ended = False
        self._stream = stream
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for batch in self._stream.batches():
            self.happened += batch
        self.ended = True

    def until(self, true: Callable[[Sequence[Happening]], bool]) -> None:
        end = time.monotonic() + 60
        while not true(self.happened):
            assert time.monotonic() < end, self.happened
            time.sleep(0.05)

    def close(self) -> None:
        self._stream.close()
        self._thread.join(timeout=120)
        assert self.ended


def _register(sides: Sides, namespace: str) -> None:
    parsed = sides.nomad.parse(JOB, hcl.assignments({"image": images_here.reference("base")}))
    sides.nomad.register(namespace, {**parsed, "Namespace": namespace}, 0)


def test_a_stream_tells_of_a_job_from_its_start_to_its_end(sides: Sides, namespace: str) -> None:
    stream = sides.feed.open()
    assert namespace in stream.namespaces
    heard = Heard(stream)
    _register(sides, namespace)

    def runs(happened: Sequence[Happening]) -> bool:
        return any(
            isinstance(one, SeenInstance)
            and (one.namespace, one.job, one.client, one.desired) == (namespace, "app", "running", "run")
            and any(task.begun and task.state == "running" and task.started_at for task in one.tasks)
            for one in happened
        )

    heard.until(runs)
    job = next(one for one in heard.happened if isinstance(one, SeenJob) and one.namespace == namespace)
    assert (job.id, job.type, job.count, job.stopped, job.parent, job.starts_later) == (
        "app",
        "service",
        1,
        False,
        "",
        False,
    )
    listing = stream.listing()
    (listed,) = [one for one in listing.jobs if one.namespace == namespace]
    assert (listed.id, listed.type, listed.count, listed.stopped) == ("app", "service", 1, False)
    assert listed.index >= job.index
    (instance,) = [one for one in listing.instances if one.namespace == namespace]
    assert (instance.job, instance.group, instance.client) == ("app", "group", "running")
    assert instance.node
    assert instance.at > 0

    sides.nomad.deregister(namespace, "app", purge=False)
    heard.until(
        lambda found: any(isinstance(one, SeenJob) and one.namespace == namespace and one.stopped for one in found)
    )
    heard.until(
        lambda found: any(
            isinstance(one, SeenInstance) and one.namespace == namespace and one.desired == "stop" for one in found
        )
    )
    heard.close()


def test_a_job_that_is_purged_is_gone(sides: Sides, namespace: str) -> None:
    _register(sides, namespace)
    heard = Heard(sides.feed.open())
    sides.nomad.deregister(namespace, "app", purge=True)
    heard.until(lambda found: any(isinstance(one, GoneJob) and one.namespace == namespace for one in found))
    heard.close()


def test_a_stream_tells_nothing_of_a_namespace_that_is_newer(sides: Sides, name: str) -> None:
    old = sides.feed.open()
    newer = f"{name}n"
    sides.nomad.write_namespace(newer, "a test", {})
    try:
        assert newer not in old.namespaces
        new = sides.feed.open()
        assert newer in new.namespaces
        before, after = Heard(old), Heard(new)
        _register(sides, newer)
        after.until(lambda found: any(one.namespace == newer for one in found))
        assert not [one for one in before.happened if one.namespace == newer]
        before.close()
        after.close()
    finally:
        sides.nomad.deregister(newer, "app", purge=True)
        end = time.monotonic() + 120
        while sides.nomad.namespace(newer) is not None and time.monotonic() < end:
            with contextlib.suppress(Exception):
                sides.nomad.remove_namespace(newer)
            time.sleep(0.2)


class Services(NamedTuple):
    feed: CheckFeed
    register: Callable[[str, bool], None]
    remove: Callable[[str], None]


@pytest.fixture(params=["memory", "real"])
def services(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> Services:
    if request.param == "memory":
        consul = MemoryConsul()

        def register(service: str, passing: bool) -> None:
            consul.register(Instance(f"id-{service}", service, "node", "127.0.0.1", 1, passing=passing))

        return Services(
            MemoryCheckFeed(consul),
            register,
            lambda service: consul.deregister(Instance(f"id-{service}", service, "node", "", 0)),
        )
    caller = real().caller("consul")

    def put(service: str, passing: bool) -> None:
        check = {"CheckID": f"check-{service}", "Name": "alive", "TTL": "1h", "Status": "passing"}
        body = {"ID": f"id-{service}", "Name": service, "Check": check}
        caller.call("PUT", "/v1/agent/service/register", body)
        # Who registers a check that is there already doesn't change its status.
        caller.call("PUT", f"/v1/agent/check/{'pass' if passing else 'fail'}/check-{service}")

    def remove(service: str) -> None:
        caller.call("PUT", f"/v1/agent/service/deregister/id-{service}")

    return Services(ConsulFeed(real), put, remove)


def _of(found: Sequence[Check], name: str) -> list[str]:
    return sorted(one.service for one in found if one.service.startswith(name))


def test_a_question_waits_for_a_check_to_become_critical(services: Services, name: str) -> None:
    service = f"{name}--web"
    services.register(service, True)
    try:
        index, found = services.feed.critical(0, 0.0)
        assert index > 0
        assert _of(found, name) == []
        later = threading.Timer(0.5, services.register, (service, False))
        later.start()
        end = time.monotonic() + 60
        while not (failing := _of(found, name)):
            assert time.monotonic() < end
            index, found = services.feed.critical(index, 10.0)
        assert failing == [service]
        (check,) = [one for one in found if one.service == service]
        assert check.service_id == f"id-{service}"
        assert check.check == "alive"
        services.register(service, True)
        while _of(found, name):
            assert time.monotonic() < end
            index, found = services.feed.critical(index, 10.0)
    finally:
        services.remove(service)


def test_services_of_no_environment_are_left_out_and_a_flood_is_cut(real: Callable[[], Connections], name: str) -> None:
    consul, feed = ConsulClient(real), ConsulFeed(real)
    caller = real().caller("consul")
    checks = [
        {"CheckID": f"{name}-{number}", "Name": "alive", "TTL": "1h", "Status": "critical"}
        for number in range(MOST_CHECKS + 30)
    ]
    caller.call("PUT", "/v1/agent/service/register", {"ID": name, "Name": f"{name}--web", "Checks": checks})
    caller.call(
        "PUT",
        "/v1/agent/service/register",
        {"ID": f"{name}x", "Name": name, "Checks": [{**checks[0], "CheckID": f"{name}x"}]},
    )
    try:
        end = time.monotonic() + 60
        while len(_of(found := feed.critical(0, 0.0)[1], name)) < MOST_CHECKS:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert set(_of(found, name)) == {f"{name}--web"}
        assert len(_of(found, name)) == MOST_CHECKS
    finally:
        for instance in consul.registered(name):
            consul.deregister(instance)
