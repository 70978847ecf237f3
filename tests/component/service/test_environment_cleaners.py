"""Secrets of environments are removed from what was read before them, and OpenBao is asked no more than that takes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import PersonKind
from environments.domain.cleaning import Cleaner
from environments.domain.commands import CreateEnvironment
from environments.domain.containers import Container
from environments.domain.environment import Environment
from environments.domain.lifecycle import DeploymentKind, DeploymentState
from environments.service import environment_cleaners
from environments.service.authorization import Principal
from environments.service.container_logs import Asked, ContainerLogs, JobKinds
from environments.service.environment_cleaners import EnvironmentCleaners
from environments.service.storage.deployments import Claim
from tests.fakes.service import FakeService, make_service

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA = Principal("ada", "user", "tok-ada", at=NOW)
ANY = Asked()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=lambda: NOW)
    with service.database.write() as tx:
        tx.people.keep("ada", PersonKind.UNCLAIMED, NOW, "root")
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web"))
    yield service
    service.database.close()


@pytest.fixture
def container(service: FakeService) -> Container:
    container = service.run("demo")
    service.containers.write(container, "hello\n")
    return container


def _reads_words(service: FakeService, time: list[float]) -> tuple[ContainerLogs, list[str]]:
    """Logs that note whose secrets they read; the time is the last one of a list."""
    asked: list[str] = []

    def words(environment: Environment) -> Sequence[str]:
        asked.append(environment.name)
        return service.world.words_of(environment)

    kinds = JobKinds("nomad.job", "nomad.namespace")
    return ContainerLogs(service.database, service.containers, words, kinds, lambda: time[-1]), asked


def test_secrets_are_read_once_in_a_while(service: FakeService, container: Container) -> None:
    time = [1.0]
    logs, asked = _reads_words(service, time)
    place = logs.read(ADA, "demo", ANY).after
    time.append(30.0)
    logs.read(ADA, "demo", ANY)
    assert asked == ["demo"]
    time.append(32.0)
    assert logs.read(ADA, "demo", ANY, after=place).lines == ()
    assert asked == ["demo"], "there is nothing to clean"
    logs.read(ADA, "demo", ANY)
    assert asked == ["demo", "demo"]


def _claim(service: FakeService) -> Claim:
    with service.database.write() as tx:
        claim = tx.deployments.claim("w", 3600.0, list(DeploymentKind), NOW)
    assert claim is not None
    return claim


def test_a_secret_that_a_deployment_has_just_made_is_removed(service: FakeService, container: Container) -> None:
    time = [1.0]
    logs, asked = _reads_words(service, time)
    after = logs.read(ADA, "demo", ANY).after
    claim = _claim(service)
    for moment, secret in ((2.0, "generated-password-1"), (3.0, "generated-password-2")):
        time.append(moment)
        service.world.words["demo"] = [secret]
        service.containers.write(container, f"password={secret}\n")
        part = logs.read(ADA, "demo", ANY, after=after)
        assert [line.text for line in part.lines] == ["password=***"]
        after = part.after
    with service.database.write() as tx:
        tx.deployments.end(claim.deployment.id, "w", claim.deployment.epoch, DeploymentState.SUCCEEDED, None, NOW)
    time.append(4.0)
    service.world.words["demo"] = ["made-at-its-very-end"]
    service.containers.write(container, "made-at-its-very-end\n")
    for _ in range(2):
        assert [line.text for line in logs.read(ADA, "demo", ANY, after=after).lines] == ["***"]
        time.append(5.0)
    assert len(asked) == 4


def test_secrets_are_read_later_than_the_lines(service: FakeService, container: Container) -> None:
    """What a container writes while the service asks for secrets is shown by the next request."""
    logs, _ = _reads_words(service, [1.0])
    read = service.containers.read

    def keep_and_read(*arguments: Any) -> bytes:
        service.world.words["demo"] = ["generated-password-1"]
        return read(*arguments)

    service.containers.read = keep_and_read  # type: ignore[method-assign, assignment]
    service.containers.write(container, "generated-password-1\n")
    assert [line.text for line in logs.read(ADA, "demo", ANY).lines] == ["hello", "***"]


def test_while_a_deployment_runs_who_waits_takes_what_another_one_reads(
    service: FakeService, container: Container
) -> None:
    _claim(service)
    environment = service.reading.environment(ADA, "demo").environment
    ticks, asked = count(), list[str]()

    def words(environment: Environment) -> list[str]:
        asked.append(environment.name)
        return ["generated-password-1"]

    cleaners = EnvironmentCleaners(service.database, words, lambda: float(next(ticks)))
    with ThreadPoolExecutor(4) as threads:
        read_at = cleaners.clock()
        found = [threads.submit(cleaners.cleaner, environment, read_at) for _ in range(4)]
        assert len({id(one.result()) for one in found}) == 1
    assert len(asked) == 1
    assert cleaners.cleaner(environment, cleaners.clock()) is found[0].result(), "the same words"
    assert len(asked) == 2, "what was read meanwhile is read anew"


def test_what_is_remembered_takes_no_more_than_some_memory_and_goes_when_nobody_reads(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = service.reading.environment(ADA, "demo").environment
    names = ("one", "two", "large", "huge")
    one, two, large, huge = (demo.model_copy(update={"id": name, "name": name}) for name in names)
    words = {"one": ["generated-password-1"], "two": ["generated-password-2"], "large": ["generated-password" * 900]}
    words["huge"] = ["generated-password" * 1000]
    asked: list[str] = []

    def read(environment: Environment) -> list[str]:
        asked.append(environment.name)
        return words[environment.name]

    now = [1.0]
    size = Cleaner(words["one"]).size
    assert 1_000 < size < Cleaner(words["large"]).size // 10
    monkeypatch.setattr(environment_cleaners, "_REMEMBERED_BYTES", size * 3 // 2)
    cleaners = EnvironmentCleaners(service.database, read, lambda: now[0])
    for environment in (large, one, large, one, one):
        now[0] += 1
        assert cleaners.cleaner(environment, now[0]).clean(words[environment.name][0]) == "***"
    assert asked == ["large", "one"], "one that is too large is remembered, and pushes no other out"
    for environment in (huge, huge, one, large):
        cleaners.cleaner(environment, now[0])
    assert asked == ["large", "one", "huge", "large"], "one of these, and not two"
    asked.clear()
    for environment in (two, two, one):
        cleaners.cleaner(environment, now[0])
    assert asked == ["two", "one"], "there is room for one of these"
    now[0] += 31
    cleaners.cleaner(two, now[0])
    assert list(cleaners._known) == ["two"]
