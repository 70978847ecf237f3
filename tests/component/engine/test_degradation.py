"""Ready environments that don't work as a whole: found as it happens, told once, and over when it is over."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from environments.api import presenting
from environments.domain.commands import UpdateEnvironment
from environments.domain.environment import DegradedReason, Environment, Event, EventType, Resource
from environments.domain.errors import BackendUnavailable
from environments.domain.lifecycle import ResourceStatus, State
from environments.engine import cluster_follower, degradation, environment_troubles
from environments.engine.cluster_follower import ClusterFollower
from environments.engine.degradation import DegradationDetector
from environments.providers.consul.feed import CHECK_KIND
from environments.providers.consul.ports import Instance
from environments.providers.nomad.ports import Job
from environments.service.storage.transaction import Transaction
from environments.steps import job_health
from environments.steps.base import Owner
from tests.fakes.backends.consul import MemoryConsul
from tests.fakes.backends.feeds import MemoryCheckFeed, MemoryJobFeed
from tests.fakes.backends.nomad import MemoryNomad
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness

KIND = "nomad.job"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules with less patience."""
    monkeypatch.setattr(job_health, "GRACE", 0.4)
    monkeypatch.setattr(job_health, "_AT_ONCE", 0.1)
    monkeypatch.setattr(job_health, "SETTLED", 1.0)
    monkeypatch.setattr(environment_troubles, "GRACE", 0.4)
    monkeypatch.setattr(degradation, "BETWEEN", 0.3)
    monkeypatch.setattr(degradation, "_ROUNDS", 0.05)
    monkeypatch.setattr(degradation, "_OVER", 0.2)
    monkeypatch.setattr(cluster_follower, "_LEAST", 0.05)
    monkeypatch.setattr(cluster_follower, "_WITHOUT", 0.05)
    monkeypatch.setattr(cluster_follower, "_WAIT", 1.0)
    monkeypatch.setattr(cluster_follower, "_SHARE", 0)


class Cluster:
    """Nomad and Consul, and a service on them; `process` is another process of it."""

    def __init__(self, setting: EngineHarness) -> None:
        self.setting = setting
        self.consul = MemoryConsul()
        self.nomad = MemoryNomad(self.consul)
        self.feed = MemoryJobFeed(self.nomad)
        self.words: Any = lambda owner: ["correct horse battery"]
        self.processes: list[tuple[ClusterFollower, DegradationDetector]] = []

    def process(self, leads: Any = lambda: True) -> tuple[ClusterFollower, DegradationDetector]:
        setting = self.setting
        follows = ClusterFollower(self.feed, MemoryCheckFeed(self.consul), leads)

        def words(owner: Owner) -> Sequence[str]:
            found: Sequence[str] = self.words(owner)
            return found

        tells = DegradationDetector(setting.database, KIND, words, setting.clock, follows.want)
        follows.subscribe(tells)
        setting.database.follow(tells.published)
        tells.start()
        follows.start()
        self.processes.append((follows, tells))
        return follows, tells

    def close(self) -> None:
        for follows, tells in self.processes:
            follows.stop()
            tells.stop()

    def environment(self, name: str = "one", *jobs: Job) -> Environment:
        """A ready one, whose step `top` has these jobs."""
        setting = self.setting
        setting.create(name, parameters={"code": "correct horse battery"})
        setting.wait_for(State.READY, State.FAILED, name=name)
        self.give(name, *(jobs or (self.job(name),)))
        return setting.environment(name)

    def give(self, name: str, *jobs: Job) -> None:
        setting, now = self.setting, self.setting.clock()
        found = setting.environment(name)
        self.nomad.write_namespace(name, "", {})
        for job in jobs:
            self.nomad.register(name, job, 0)
            address = f"{name}/{job['ID']}"
            resource = Resource(
                environment_id=found.id,
                kind=KIND,
                address=address,
                step="top",
                status=ResourceStatus.INTENDED,
                created_at=now,
                updated_at=now,
            )
            with setting.database.write() as tx:
                tx.inventory.intend([resource], {f"{KIND} {address}": 0})
                tx.inventory.settle(found.id, [(KIND, address)], now)
                if job["Type"] == "batch":
                    tx.inventory.finish(found.id, KIND, address, ["these inputs"])
        for _, tells in self.processes:
            # It reads an environment once it is ready, and in life it has its resources by then.
            with tells._changed:
                tells._all_anew = True
                tells._changed.notify_all()

    def job(self, namespace: str, name: str = "app", type: str = "service", count: int = 1) -> Job:
        service = {"Name": f"{namespace}--{name}", "Provider": "consul"}
        task = {"Name": "task", "Config": {}, "Templates": []}
        group = {"Name": "group", "Count": count, "Services": [service], "Tasks": [task], "Update": {"MaxParallel": 1}}
        return {"ID": name, "Name": name, "Namespace": namespace, "Type": type, "TaskGroups": [group]}

    def until(self, *addresses: str, name: str = "one") -> tuple[DegradedReason, ...]:
        """The reasons, once they are of these things."""
        self.setting.until(lambda: [one.address for one in self.setting.environment(name).degraded] == list(addresses))
        return self.setting.environment(name).degraded

    def events(self, name: str = "one") -> list[Event]:
        found = self.setting.environment(name)
        with self.setting.database.read() as tx:
            every = tx.events.after(0, environment_id=found.id, limit=1000)
        return [one for one in every if one.type in (EventType.ENVIRONMENT_DEGRADED, EventType.ENVIRONMENT_RECOVERED)]


@pytest.fixture(params=["sqlite"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    setting = open_harness(request, tmp_path)
    setting.push(TEMPLATE)
    setting.worker.start()
    cluster = Cluster(setting)
    yield cluster
    cluster.close()
    setting.stop()


def test_a_job_that_fails_degrades_its_environment_until_it_runs_again(cluster: Cluster) -> None:
    cluster.process()
    cluster.environment()
    cluster.environment("two")
    cluster.nomad.give_up("one", "app")
    (reason,) = cluster.until("one/app")
    assert (reason.step, reason.kind) == ("top", KIND)
    assert reason.reason == "0 of 1 instance runs."
    view = presenting.environment(cluster.setting.environment())
    assert view.state is State.READY
    assert view.degraded == (reason,)
    (told,) = cluster.events()
    assert told.type is EventType.ENVIRONMENT_DEGRADED
    assert told.message == "one is degraded: top: 0 of 1 instance runs"
    assert told.data["reasons"][0]["address"] == "one/app"

    present = cluster.nomad.job("one", "app")
    assert present is not None
    cluster.nomad.register("one", {**present, "Meta": {"again": "1"}}, present["JobModifyIndex"])
    cluster.until()
    assert [one.type for one in cluster.events()] == [EventType.ENVIRONMENT_DEGRADED, EventType.ENVIRONMENT_RECOVERED]
    assert cluster.setting.environment("two").degraded == ()
    assert cluster.events("two") == []


def test_jobs_that_people_stop_or_remove_are_told_and_batch_jobs_may_go(cluster: Cluster) -> None:
    cluster.process()
    cluster.environment(
        "one", *(cluster.job("one", name) for name in ("app", "db")), cluster.job("one", "seed", "batch")
    )
    cluster.nomad.deregister("one", "seed", purge=True)
    cluster.nomad.deregister("one", "app", purge=False)
    cluster.until("one/app")
    cluster.nomad.deregister("one", "db", purge=True)
    reasons = cluster.until("one/app", "one/db")
    assert [one.reason for one in reasons] == [
        "The job is stopped: somebody has stopped it in Nomad.",
        "The job is gone: somebody has removed it from Nomad.",
    ]
    # What is told of one thing keeps its moment when another one is told.
    assert reasons[0].since == DegradedReason.model_validate(cluster.events()[0].data["reasons"][0]).since


def test_what_went_while_nobody_followed_is_told_unless_it_had_ended(cluster: Cluster) -> None:
    cluster.environment("one", cluster.job("one"), cluster.job("one", "seed", "batch"))
    for job in ("app", "seed"):
        cluster.nomad.deregister("one", job, purge=True)
    cluster.process()
    (reason,) = cluster.until("one/app")
    assert reason.reason == "The job is gone: somebody has removed it from Nomad."


def test_a_task_that_was_killed_is_told_and_over_when_it_has_run_for_a_while(cluster: Cluster) -> None:
    cluster.process()
    cluster.environment()
    cluster.nomad.kill_from_outside("one", "app", time.time_ns())
    (reason,) = cluster.until("one/app/task")
    assert reason.kind == job_health.TASK_KIND
    assert reason.reason.startswith("Task 'task' failed, and was started again: Exit Code: 137")
    cluster.until()


def _fail_check(cluster: Cluster, name: str, service: str, passing: bool = False) -> Instance:
    (found,) = cluster.consul.instances(f"{name}--{service}")[1]
    wrong = Instance(found.id, found.service, found.node, found.address, found.port, passing=passing)
    cluster.consul.register(wrong)
    return found


def test_a_critical_check_of_an_own_service_degrades_and_no_other_one_does(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "it says correct horse battery\x1b[31m and " + "so on " * 200
    critical = MemoryCheckFeed.critical

    def talkative(self: MemoryCheckFeed, index: int, wait: float) -> Any:
        newest, found = critical(self, index, wait)
        return newest, [replace(one, output=said) for one in found]

    monkeypatch.setattr(MemoryCheckFeed, "critical", talkative)
    cluster.process()
    cluster.environment()
    cluster.environment("two")
    # A neighbour's own names, and a job in the namespace that no step made.
    cluster.consul.register(Instance("x", "evil--one--app", "node", "127.0.0.1", 1, passing=False))
    cluster.nomad.register("one", cluster.job("one", "stray"), 0)
    _fail_check(cluster, "one", "stray")
    _fail_check(cluster, "two", "app")
    (other,) = cluster.until("two--app/alive", name="two")
    assert other.kind == CHECK_KIND
    assert other.step == "top"
    assert other.reason.startswith("The check 'alive' of service 'two--app' is critical: it says *** and so on")
    assert len(other.reason) < 500
    assert "\x1b" not in other.reason
    assert cluster.setting.environment().degraded == ()

    # Where nobody can tell what is secret, nothing is quoted.
    def away(owner: Owner) -> None:
        raise BackendUnavailable("OpenBao is away.")

    cluster.words = away
    _fail_check(cluster, "one", "app")
    (own,) = cluster.until("one--app/alive")
    assert own.reason == "The check 'alive' of service 'one--app' is critical."
    _fail_check(cluster, "one", "app", passing=True)
    cluster.until()


def test_many_reasons_are_counted_and_make_few_events(cluster: Cluster) -> None:
    cluster.process()
    cluster.environment("one", *(cluster.job("one", f"app{number}") for number in range(30)))
    for number in range(30):
        cluster.nomad.deregister("one", f"app{number}", purge=False)
    cluster.setting.until(lambda: len(cluster.setting.environment().degraded) == 21)
    last = cluster.setting.environment().degraded[-1]
    assert (last.kind, last.address) == ("", "")
    assert last.reason == "10 more of this environment don't work."
    time.sleep(1)  # nothing happens, so nothing is told
    assert len(cluster.events()) <= 3


def test_what_comes_and_goes_has_to_be_away_for_longer_each_time(cluster: Cluster) -> None:
    _, tells = cluster.process()
    cluster.environment()
    for times in range(3):
        _fail_check(cluster, "one", "app")
        cluster.until("one--app/alive")
        wanted = pytest.approx(0.2 * 2**times)
        cluster.setting.until(lambda wanted=wanted: bool(tells._environments["one"].over == wanted))  # type: ignore[misc]
        _fail_check(cluster, "one", "app", passing=True)
        cluster.until()
    assert len(cluster.events()) == 6


def test_the_flag_goes_with_a_change_and_comes_again_if_it_is_still_so(cluster: Cluster) -> None:
    setting = cluster.setting
    setting.create("two", parameters={"code": "correct horse battery"})
    found = setting.wait_for(State.READY, name="two")
    reason = DegradedReason(since=setting.clock(), kind=KIND, address="two/app", reason="It is.")
    with setting.database.write() as tx:
        tx.environments.change(found.id, degraded=(reason,))
    assert setting.environment("two").degraded == (reason,)
    setting.requests.update(ADMIN, "two", UpdateEnvironment(parameters={"word": "other"}))
    setting.until(lambda: setting.environment("two").degraded == ())

    cluster.process()
    cluster.environment()
    cluster.nomad.give_up("one", "app")
    (before,) = cluster.until("one/app")
    one = setting.environment()
    with setting.database.write() as tx:
        tx.environments.set_state(one.id, State.UPDATING, setting.clock())
        tx.events.add(EventType.ENVIRONMENT_STATE, one.id, setting.clock())
    assert presenting.environment(setting.environment()).degraded == ()
    with setting.database.write() as tx:
        tx.environments.set_state(one.id, State.READY, setting.clock(), degraded=())
        tx.events.add(EventType.ENVIRONMENT_STATE, one.id, setting.clock())
    (after,) = cluster.until("one/app")
    assert after.since > before.since
    assert [event.type for event in cluster.events()] == [EventType.ENVIRONMENT_DEGRADED] * 2


def test_a_cut_stream_is_taken_up_and_what_happened_meanwhile_is_found(cluster: Cluster) -> None:
    cluster.process()
    cluster.environment()
    cluster.setting.until(lambda: cluster.feed.opened > 0)
    cluster.feed.cut(away=True)
    cluster.nomad.give_up("one", "app")
    time.sleep(1)
    assert cluster.setting.environment().degraded == ()
    cluster.feed.cut(away=False)
    cluster.until("one/app")


def test_a_listing_that_comes_while_environments_are_read_is_compared_with_all(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = cluster.setting
    tells = DegradationDetector(setting.database, KIND, cluster.words, setting.clock, lambda _: True)
    cluster.environment()
    stream = cluster.feed.open()
    tells.jobs_listed(stream.listing(), stream.namespaces)
    tells._round()
    cluster.nomad.deregister("one", "app", purge=True)
    read = setting.database.read

    @contextlib.contextmanager
    def interrupted() -> Iterator[Transaction]:
        with read() as tx:
            yield tx
        monkeypatch.setattr(setting.database, "read", read)
        tells.jobs_listed(cluster.feed.open().listing(), stream.namespaces)

    monkeypatch.setattr(setting.database, "read", interrupted)
    # Nothing else happens: the round that reads, the one for the listing, and one when the grace period is over.
    tells.published(10**6)
    tells._round()
    assert tells._has_work()
    tells._round()
    time.sleep(0.5)
    tells._round()
    assert [one.address for one in setting.environment().degraded] == ["one/app"]


def test_an_environment_that_is_newer_than_the_stream_is_heard_of(cluster: Cluster) -> None:
    cluster.process()
    cluster.setting.until(lambda: cluster.feed.opened > 0)
    opened = cluster.feed.opened
    cluster.environment()
    cluster.setting.until(lambda: cluster.feed.opened > opened)
    opened = cluster.feed.opened
    cluster.nomad.give_up("one", "app")
    cluster.until("one/app")
    assert cluster.feed.opened == opened


@pytest.mark.parametrize("cluster", DATABASES, indirect=True)
def test_another_process_takes_over(cluster: Cluster) -> None:
    leader = ["first"]
    first, _ = cluster.process(lambda: leader == ["first"])
    cluster.process(lambda: leader == ["second"])
    cluster.environment()
    cluster.setting.until(lambda: cluster.feed.opened > 0)
    leader[:] = []
    first.stop()  # it is killed
    cluster.nomad.give_up("one", "app")
    leader[:] = ["second"]
    cluster.until("one/app")
    assert len(cluster.events()) == 1


@pytest.mark.parametrize("cluster", DATABASES, indirect=True)
def test_the_process_that_is_the_clock_leads(cluster: Cluster) -> None:
    setting = cluster.setting
    schedulers = [setting.make_scheduler(setting.database.leadership()) for _ in range(2)]
    shared = setting.database.shared
    try:
        schedulers[0].start()
        setting.until(schedulers[0].leads)
        schedulers[1].start()
        time.sleep(0.5)
        # A database that one process has for itself has no other one.
        assert schedulers[1].leads() is not shared
        schedulers[0].stop()
        setting.until(schedulers[1].leads)
    finally:
        for scheduler in schedulers:
            scheduler.stop()
