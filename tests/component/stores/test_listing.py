"""A list reads what changed, and only that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.stores.database import Database
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE)
    for name in ("one", "two", "three"):
        setting.create(name, parameters={"code": "swordfish"})
    yield setting
    setting.database.close()


def names_and_deadlines(database: Database) -> list[tuple[str, str]]:
    with database.read() as tx:
        return [(found.name, str(found.deadline)) for found in tx.environments.all()]


def test_a_change_is_in_the_next_list(setting: EngineHarness) -> None:
    before = dict(names_and_deadlines(setting.database))
    setting.requests.extend(ADMIN, "two", by="1h")
    after = dict(names_and_deadlines(setting.database))
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {"two"}


def test_what_did_not_change_is_not_read_again(setting: EngineHarness) -> None:
    with setting.database.read() as tx:
        first = {found.name: found for found in tx.environments.all()}
    setting.requests.extend(ADMIN, "two", by="1h")
    with setting.database.read() as tx:
        second = {found.name: found for found in tx.environments.all()}
    assert first["one"] is second["one"]
    assert first["two"] is not second["two"]
    assert second["two"].deadline != first["two"].deadline


def test_newest_first_whatever_was_read_before(setting: EngineHarness) -> None:
    names_and_deadlines(setting.database)
    setting.create("four", parameters={"code": "swordfish"})
    setting.requests.extend(ADMIN, "one", by="1h")
    assert [name for name, _ in names_and_deadlines(setting.database)] == ["four", "three", "two", "one"]
    with setting.database.read() as tx:
        assert [found.name for found in tx.environments.all(owner="nobody")] == []
