"""Nothing is left of a run of tofu when its worker, tofu itself, a provider or the watchdog is killed or paused."""

import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from environments.domain.errors import BackendUnavailable
from environments.providers.opentofu.removal import ModuleStateHandler
from tests.fakes.counting_server import CountingServer
from tests.fakes.state_server import StateServer
from tests.support.opentofu_harness import ALPHA, NEXT, STEP, Site, StoppableRun, kill, thing, wait_until

PLACE = ("env-alpha", "things")


@pytest.fixture
def things() -> Iterator[CountingServer]:
    with CountingServer() as server:
        yield server


@pytest.fixture
def served() -> Iterator[StateServer]:
    with StateServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, things: CountingServer, served: StateServer) -> Iterator[Site]:
    found = Site(tmp_path, things.address, served.states)
    yield found
    things.release()
    for process in found.processes():
        kill(process)


@pytest.fixture
def workers() -> Iterator[list["subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for worker in started:
        worker.kill()
        worker.wait()
        assert worker.stdout is not None
        worker.stdout.close()


def take_over(site: Site) -> StoppableRun:
    """A run of the worker that holds the environment from now on."""
    site.states.holder = NEXT
    return StoppableRun(holder=NEXT)


def destroy(site: Site) -> None:
    ModuleStateHandler(site.executor.modules).destroy("alpha/things", ALPHA, take_over(site))


def test_a_killed_workers_tofu_records_what_it_does_and_ends(
    site: Site, things: CountingServer, served: StateServer, workers: list["subprocess.Popen[str]"]
) -> None:
    things.hold("a")
    workers.append(site.other_worker(["a", "b"]))
    things.wait_until_asked("POST", "a")
    workers[0].kill()
    wait_until(lambda: _was_asked(site), "tofu was asked to end")
    things.release()
    wait_until(lambda: not site.processes(), "all are gone")
    assert thing("a") in site.recorded()
    assert site.apply(["a", "b"], take_over(site)) == {"ids": ["a", "b"]}
    assert things.asked["POST", "a"] == 1
    assert things.duplicates() == []
    destroy(site)
    assert things.objects() == {}
    assert site.leftovers() == []


def test_a_killed_workers_tofu_that_does_not_end_is_dead_when_the_lease_is_over(
    site: Site, things: CountingServer, workers: list["subprocess.Popen[str]"]
) -> None:
    things.hold("a")
    workers.append(site.other_worker(["a"], lease=6.0))
    things.wait_until_asked("POST", "a")
    workers[0].kill()
    killed = time.monotonic()
    wait_until(lambda: not site.processes(), "all are gone")
    # A lease that was prolonged at the last moment lasts six seconds, and its end is not waited for.
    assert time.monotonic() - killed < 6.0
    things.release()
    assert site.apply(["a"], take_over(site)) == {"ids": ["a"]}
    assert things.created == {"a": 1}


def test_a_paused_workers_tofu_is_dead_when_the_lease_is_over(
    site: Site, things: CountingServer, workers: list["subprocess.Popen[str]"]
) -> None:
    things.hold("a")
    workers.append(site.other_worker(["a"], lease=6.0))
    things.wait_until_asked("POST", "a")
    kill(workers[0].pid, signal.SIGSTOP)
    paused = time.monotonic()
    wait_until(lambda: not site.processes(), "all are gone")
    assert time.monotonic() - paused < 6.0
    # Its successor doesn't wait for it, and is not disturbed when it wakes up.
    things.release()
    assert site.apply(["a"], take_over(site)) == {"ids": ["a"]}
    kill(workers[0].pid, signal.SIGCONT)
    assert workers[0].stdout is not None
    assert workers[0].stdout.read().strip() != "done"
    assert things.created == {"a": 1}
    assert site.recorded() == {thing("a"), "time_static.made"}


def test_a_paused_tofu_is_dead_when_the_lease_is_over(
    site: Site, things: CountingServer, workers: list["subprocess.Popen[str]"]
) -> None:
    things.hold("a")
    workers.append(site.other_worker(["a"], lease=6.0))
    things.wait_until_asked("POST", "a")
    (tofu,) = site.tofus()
    kill(tofu, signal.SIGSTOP)
    workers[0].kill()
    wait_until(lambda: not site.processes(), "all are gone")


def test_what_a_killed_tofu_was_making_is_found_again(site: Site, things: CountingServer) -> None:
    run = StoppableRun()
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], run)
        things.wait_until_asked("POST", "a")
        (tofu,) = site.tofus()
        kill(tofu)
        with pytest.raises(BackendUnavailable, match="was killed") as caught:
            applied.result()
        assert caught.value.transient
        assert site.processes() == {}
        things.release()
    assert thing("a") not in site.recorded()
    assert thing("a") in site.in_flight()
    assert site.apply(["a"]) == {"ids": ["a"]}
    assert things.created == {"a": 1}
    assert site.in_flight() == frozenset()


def test_what_a_killed_tofu_was_making_is_destroyed_too(site: Site, things: CountingServer) -> None:
    _killed_while_making(site, things, ["a", "b"])
    assert "a" in things.objects()
    destroy(site)
    assert things.objects() == {}
    assert things.duplicates() == []
    assert site.backend.load(ALPHA, STEP) is None


def test_an_update_to_other_things_does_not_lose_what_a_killed_tofu_was_making(
    site: Site, things: CountingServer
) -> None:
    _killed_while_making(site, things, ["a", "b"])
    assert site.apply(["c"]) == {"ids": ["c"]}
    assert sorted(things.objects()) == ["c"]


def test_what_can_neither_be_found_nor_made_again_is_named(site: Site, things: CountingServer) -> None:
    site.apply(["z"])
    _killed_while_making(site, things, ["a", "z"])
    things.failing["a"] = 500
    with pytest.raises(Exception, match="may have been made when tofu was killed") as caught:
        destroy(site)
    assert thing("a") in str(caught.value)
    assert sorted(things.objects()) == ["a"]
    assert site.in_flight() >= {thing("a")}
    del things.failing["a"]
    destroy(site)
    assert things.objects() == {}


def test_tofu_dies_with_its_watchdog_and_its_orphans_with_the_next_run(site: Site, things: CountingServer) -> None:
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], StoppableRun())
        things.wait_until_asked("POST", "a")
        (watchdog,) = _watchdogs(site)
        kill(watchdog)
        wait_until(lambda: not site.tofus(), "tofu is dead")
        with pytest.raises(BackendUnavailable):
            applied.result()
        things.release()
    assert site.apply(["a"]) == {"ids": ["a"]}
    assert site.processes() == {}
    assert things.created == {"a": 1}


def test_a_successor_on_this_machine_waits_for_the_end_of_tofu(
    site: Site, things: CountingServer, served: StateServer, workers: list["subprocess.Popen[str]"]
) -> None:
    things.hold("a")
    workers.append(site.other_worker(["a"], lease=20.0))
    things.wait_until_asked("POST", "a")
    workers[0].kill()
    wait_until(lambda: _was_asked(site), "tofu was asked to end")
    # The state server of a real worker dies with it: tofu can't hand its state in.
    served.broken = True
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], take_over(site))
        wait_until(lambda: len(list((site.base / "work" / ALPHA.id / STEP).glob("run-*"))) == 2, "it has begun")
        assert site.tofus()
        assert not applied.done()
        things.release()
        wait_until(lambda: served.states.states[PLACE].aside or served.requests.count("POST") >= 3, "it was refused")
        served.broken = False
        assert applied.result() == {"ids": ["a"]}
    assert things.asked["POST", "a"] == 1
    assert things.created == {"a": 1}


def _killed_while_making(site: Site, things: CountingServer, names: list[str]) -> None:
    things.hold("a")
    before = things.asked["POST", "a"]
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, names)
        wait_until(lambda: things.asked["POST", "a"] > before, "it is being made")
        for tofu in site.tofus():
            kill(tofu)
        with pytest.raises(BackendUnavailable):
            applied.result()
        things.release()


def _watchdogs(site: Site) -> list[int]:
    return [number for number, program in site.processes().items() if program.name.startswith("python")]


def _was_asked(site: Site) -> bool:
    """Whether the watchdog has heard that its worker is gone, and told tofu: it listens no more then."""
    return any(not Path(f"/proc/{watchdog}/fd/0").is_symlink() for watchdog in _watchdogs(site))
