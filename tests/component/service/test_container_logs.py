"""Logs of containers: whose are reachable, for whom, and what is shown of them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.access import EnvironmentRole, PersonKind
from environments.domain.commands import CreateEnvironment
from environments.domain.containers import Container, Stream
from environments.domain.errors import (
    Forbidden,
    InvalidInput,
    ManagedOutside,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
)
from environments.domain.lifecycle import State
from environments.service.authorization import Principal
from environments.service.container_logs import Asked
from tests.fakes.service import FakeService, make_service

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA, BOB = (Principal(name, "user", f"tok-{name}", at=NOW) for name in ("ada", "bob"))
AUDITOR = Principal("mia", "auditor", "tok-mia", at=NOW)
ANY = Asked()
SECOND = "0b0b0b0b-0000-0000-0000-000000000002"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=lambda: NOW)
    with service.database.write() as tx:
        for name in ("ada", "bob", "mia"):
            tx.people.keep(name, PersonKind.UNCLAIMED, NOW, "root")
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web"))
    yield service
    service.database.close()


@pytest.fixture
def container(service: FakeService) -> Container:
    container = service.run("demo")
    service.containers.write(container, "hello\n")
    return container


def _texts(service: FakeService, asked: Asked = ANY, **more: object) -> list[str]:
    return [line.text for line in service.container_logs.read(ADA, "demo", asked, **more).lines]  # type: ignore[arg-type]


def test_operators_read_what_containers_write_and_viewers_do_not(service: FakeService, container: Container) -> None:
    assert service.container_logs.containers(ADA, "demo") == [container]
    assert _texts(service) == ["hello"]
    for call in (
        lambda who: service.container_logs.containers(who, "demo"),
        lambda who: service.container_logs.read(who, "demo", ANY),
    ):
        with pytest.raises(UnknownEnvironment):
            call(BOB)
        with pytest.raises(Forbidden, match="to read container logs takes operator"):
            call(AUDITOR)
    service.sharing.share(ADA, "demo", "bob", EnvironmentRole.PLANNER)
    with pytest.raises(Forbidden, match="You are planner of 'demo'"):
        service.container_logs.read(BOB, "demo", ANY)
    service.sharing.share(ADA, "demo", "bob", EnvironmentRole.OPERATOR)
    assert service.container_logs.read(BOB, "demo", ANY).container == container


def test_only_jobs_of_the_inventory_in_a_namespace_that_it_holds_count(
    service: FakeService, container: Container
) -> None:
    service.containers.add("demo", "stranger", allocation=SECOND)
    service.containers.add("other", "web", allocation="0c0c0c0c-0000-0000-0000-000000000003")
    assert service.container_logs.containers(ADA, "demo") == [container]
    others = (Asked(job="stranger"), Asked(allocation=SECOND), Asked(allocation="0c0c0c0c"), Asked(job="../other/web"))
    for asked in others:
        with pytest.raises(NotFound):
            service.container_logs.read(ADA, "demo", asked)


def test_a_namespace_that_is_somebody_else_s_shows_nothing(service: FakeService) -> None:
    """The name was taken at Nomad before the environment was made: what it wanted to make is in its inventory."""
    service.register("demo", made=False)
    service.containers.add("demo", "web")
    assert service.container_logs.containers(ADA, "demo") == []
    with pytest.raises(NotFound, match="has no containers"):
        service.container_logs.read(ADA, "demo", ANY)


def test_an_ended_environment_shows_nothing_of_the_next_one_of_its_name(
    service: FakeService, container: Container
) -> None:
    identity = service.reading.environment(ADA, "demo").environment.id
    service.move("demo", State.DESTROYING, State.DESTROYED)
    assert service.container_logs.containers(ADA, f"id:{identity}") == []


def test_what_another_service_manages_is_not_read_here(service: FakeService, container: Container) -> None:
    with service.database.write() as tx:
        environment = tx.environments.named("demo")
        assert environment is not None
        tx.environments.change(environment.id, managed_by="elsewhere")
    with pytest.raises(ManagedOutside):
        service.container_logs.containers(ADA, "demo")


def test_secrets_and_control_characters_are_removed(service: FakeService, container: Container) -> None:
    service.world.words["demo"] = ["correct-horse"]
    service.containers.write(container, "password=correct-horse \x1b[2Jgone\x07 Y29ycmVjdC1ob3JzZQ==\n", Stream.STDERR)
    (_, line) = service.container_logs.read(ADA, "demo", ANY).lines
    assert (line.stream, line.text) == (Stream.STDERR, "password=*** gone ***")


def test_with_more_secrets_than_are_known_nothing_is_shown(service: FakeService, container: Container) -> None:
    service.world.words["demo"] = None
    with pytest.raises(NotAllowedNow, match="more secrets than are removed"):
        service.container_logs.read(ADA, "demo", ANY)


def test_following_goes_on_where_it_was(service: FakeService, container: Container) -> None:
    first = service.container_logs.read(ADA, "demo", ANY)
    assert not first.more
    assert _texts(service, after=first.after) == []
    service.containers.write(container, "more\nand mo")
    service.containers.write(container, "wrong\n", Stream.STDERR)
    second = service.container_logs.read(ADA, "demo", ANY, after=first.after)
    assert [(line.stream, line.text) for line in second.lines] == [(Stream.STDOUT, "more"), (Stream.STDERR, "wrong")]
    service.containers.write(container, "re\n")
    assert _texts(service, after=second.after) == ["and more"]
    assert _texts(service, after="beginning") == ["hello", "more", "and more", "wrong"]
    assert _texts(service, last=1) == ["and more", "wrong"]
    assert _texts(service, last=1, streams=(Stream.STDERR,)) == ["wrong"]


def test_an_endless_writer_is_read_in_parts(service: FakeService, container: Container) -> None:
    for number in range(5):
        service.containers.write(container, "".join(f"{number} {line:>60}\n" for line in range(2000)))
        service.containers.rotate(container)
    lines, part = 0, service.container_logs.read(ADA, "demo", ANY, after="beginning")
    while True:
        assert sum(len(line.text) for line in part.lines) < 140_000
        lines += len(part.lines)
        if not part.more:
            break
        part = service.container_logs.read(ADA, "demo", ANY, after=part.after)
    assert lines == 10_001
    near = service.container_logs.read(ADA, "demo", ANY, last_bytes=200_000)
    assert near.more
    assert near.lines[0].text != "hello"


def test_the_newest_container_of_a_task_is_meant(service: FakeService, container: Container) -> None:
    newer = service.run("demo", allocation=SECOND, minutes=5)
    service.containers.write(newer, "new\n")
    assert _texts(service) == ["new"]
    assert _texts(service, Asked(allocation=container.allocation[:8])) == ["hello"]
    service.containers.end(newer)
    assert _texts(service, Asked(job="web", task="app")) == ["hello"], "what runs comes before what has ended"
    with pytest.raises(NotFound, match="no allocation '0b0'"):
        service.container_logs.read(ADA, "demo", Asked(allocation="0b0"))


def test_who_names_too_little_is_told_what_there_is(service: FakeService, container: Container) -> None:
    service.run("demo", "worker", "queue", allocation=SECOND)
    with pytest.raises(InvalidInput, match="Several containers fit: web/app, worker/queue"):
        service.container_logs.read(ADA, "demo", ANY)
    with pytest.raises(NotFound, match=r"no job 'wbe' with containers\. Did you mean 'web'"):
        service.container_logs.read(ADA, "demo", Asked(job="wbe"))
    with pytest.raises(NotFound, match="no task 'que' with"):
        service.container_logs.read(ADA, "demo", Asked(task="que"))


def test_runs_of_a_periodic_job_are_of_that_job(service: FakeService, container: Container) -> None:
    run = service.containers.add("demo", "web/periodic-1767225600", "app", allocation=SECOND, minutes=1)
    service.containers.add("demo", "other/dispatch-1", "app", allocation=SECOND.replace("b", "c"))
    assert service.container_logs.containers(ADA, "demo") == [run, container]
    for job in ("web", "web/periodic-1767225600"):
        assert service.container_logs.read(ADA, "demo", Asked(job=job, allocation=SECOND)).container == run


def test_a_place_is_no_path(service: FakeService, container: Container) -> None:
    for after in ("../../etc/passwd", "o0.0/../..", "%2e%2e", "o0." + "9" * 40):
        with pytest.raises(InvalidInput, match="no place"):
            service.container_logs.read(ADA, "demo", ANY, after=after)


def test_a_place_that_nobody_was_given_shows_no_part_of_a_secret(service: FakeService, container: Container) -> None:
    service.world.words["demo"] = ["generated-password-1"]
    service.containers.write(container, "password=generated-")
    outside = service.container_logs.read(ADA, "demo", ANY, after="o9.0").after
    service.containers.write(container, "password-1\nnext\n")
    for after in (*(f"o0.{offset}" for offset in range(7, 36)), outside, outside.replace("m", "")):
        assert _texts(service, after=after) == ["next"], after
    assert _texts(service, after="o0.6") == ["password=***", "next"]
