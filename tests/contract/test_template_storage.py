"""Templates in the database: deleted once nothing is made from them, also in a race, on SQLite and PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import EVERYTHING, Sight
from environments.domain.environment import Deployment, Environment
from environments.domain.errors import TemplateInUse, UnknownTemplate
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.template import make_bundle
from environments.service.catalogue import Catalogue
from environments.service.storage.templates import LOOKED_AT
from environments.stores.database import Database, open_database
from environments.wire.environments import CreateRequest
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness

SECRET = {"code": "swordfish"}
PATIENCE = 20.0
FIRST, SECOND = (
    make_bundle({"template.toml": text.encode()})
    for text in (TEMPLATE, TEMPLATE.replace("[[steps]]", "\n[[steps]]", 1))
)


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    """A service whose worker doesn't run."""
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE)
    yield setting
    setting.database.close()


@pytest.fixture
def other(setting: EngineHarness) -> Iterator[Database]:
    """The same database as another process has it open; SQLite lets only one process in, so there it is the same."""
    if not setting.database.shared:
        yield setting.database
        return
    other = open_database(*setting._place)
    yield other
    other.close()


def test_versions_are_deleted_and_remembered(setting: EngineHarness) -> None:
    now = setting.clock()
    with setting.database.write() as tx:
        tx.templates.push("things", SECOND, "ada", now)
        tx.templates.push("things", FIRST, "ada", now)
        assert tx.templates.delete("things", FIRST.digest, "ada", now) == [FIRST.digest]
        assert tx.templates.delete("others", None, "ada", now) == []
    with setting.database.write() as tx:
        newest = tx.templates.find("things", None)
        assert newest is not None
        assert newest.digest == SECOND.digest
        assert tx.templates.delete("things", None, "bob", now + timedelta(hours=1)) == [SECOND.digest]
        tx.templates.push("things", FIRST, "ada", now)
        assert tx.templates.delete("things", None, "bob", now + timedelta(hours=2)) == [FIRST.digest]
    with setting.database.read() as tx:
        gone = tx.templates.deleted("things", None)
        assert [(one.digest, one.deleted_by) for one in gone] == [(FIRST.digest, "bob"), (SECOND.digest, "bob")]
        assert gone[0].deleted_at == now + timedelta(hours=2)
        assert [one.digest for one in tx.templates.deleted("things", SECOND.digest)] == [SECOND.digest]
        assert tx.templates.newest() == []


def test_how_long_creates_take_is_computed_of_the_newest_that_succeeded(setting: EngineHarness) -> None:
    begin = setting.clock()
    with setting.database.write() as tx:
        assert tx.templates.create_times("things") is None

        def told() -> tuple[int, int, int]:
            times = tx.templates.create_times("things")
            assert times is not None
            return times.made, round(times.median), round(times.nine_tenths)

        tx.environments.add(
            Environment(
                id="env-1",
                name="one",
                state=State.READY,
                template="things",
                template_version="1",
                bundle=FIRST.digest,
                owner="ada",
                created_at=begin,
                state_since=begin,
            )
        )

        def add(number: int, took: float, **other: Any) -> None:
            at = begin + timedelta(minutes=number)
            given = {"kind": DeploymentKind.CREATE, "state": DeploymentState.SUCCEEDED, "template": "things", **other}
            ended = at + timedelta(seconds=took)
            moments = {"requested_at": at - timedelta(hours=1), "started_at": at, "ended_at": ended}
            ids = {"id": f"dep-{number}", "environment_id": "env-1", "bundle": FIRST.digest}
            tx.deployments.add(Deployment(reason="", requested_by="ada", **ids, **moments, **given))

        add(0, 8.0)
        assert told() == (1, 8, 8)
        for number in range(1, 11):
            add(number, number * 10.0)
        add(11, 5000, state=DeploymentState.FAILED)
        add(12, 5000, kind=DeploymentKind.UPDATE)
        add(13, 5000, template="others")
        assert told() == (11, 50, 90)
        for number in range(20, 20 + LOOKED_AT):
            add(number, 1.0)
        assert told() == (LOOKED_AT, 1, 1)


NOBODY = Sight.of({"nobody"})


def test_names_and_users_of_what_stands(setting: EngineHarness) -> None:
    for name in ("one", "two", "three"):
        setting.create(name, parameters=SECRET)
    with setting.database.write() as tx:
        two = setting.environment("two")
        tx.environments.set_state(two.id, State.DESTROYED, setting.clock(), destroyed_at=setting.clock())
    with setting.database.read() as tx:
        assert sorted(tx.environments.names(limit=10)) == ["one", "three"]
        assert len(tx.environments.names(limit=1)) == 1
        assert tx.environments.names(sight=NOBODY, limit=10) == []
        digest = two.bundle
        for which in (None, digest):
            assert tx.environments.made_from("things", which, sight=Sight.of({two.owner})) == (["one", "three"], 2)
            assert tx.environments.made_from("things", which, sight=NOBODY) == ([], 2)
        for template, which in (("things", "sha256:other"), ("others", None)):
            assert tx.environments.made_from(template, which, sight=EVERYTHING) == ([], 0)


def test_a_template_is_deleted_or_something_is_made_from_it(setting: EngineHarness, other: Database) -> None:
    catalogue = Catalogue(other, setting.checks, setting.clock)
    for number in range(8):
        name = f"name-{number}"
        request = CreateRequest(name=name, template="things", parameters=SECRET)
        made, deleted = at_once(
            lambda request=request: setting.requests.create(ADMIN, request),  # type: ignore[misc]
            lambda: catalogue.delete(ADMIN, "things"),
        )
        assert [isinstance(made, UnknownTemplate), isinstance(deleted, TemplateInUse)].count(True) == 1
        if isinstance(made, UnknownTemplate):
            setting.push(TEMPLATE)
        else:
            with setting.database.write() as tx:
                found = setting.environment(name)
                tx.environments.set_state(found.id, State.DESTROYED, setting.clock(), destroyed_at=setting.clock())


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What calls that begin at the same moment give; a refusal is what they give, too."""
    start = threading.Barrier(len(calls))

    def begin(call: Callable[[], object]) -> object:
        start.wait(PATIENCE)
        try:
            return call()
        except (TemplateInUse, UnknownTemplate) as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))
