"""A list reads what changed, and only that."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from environments.domain.access import EVERYTHING
from environments.domain.lifecycle import State
from environments.service.selection import Selection
from environments.stores.database import Database, open_database
from environments.stores.sqlite import FILE
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


@pytest.mark.parametrize(
    "which",
    [
        Selection(),
        Selection(attention=True),
        Selection(name="shop", template="web"),
        Selection(owner="ada", states=frozenset({State.FAILED}), attention=True),
    ],
)
def test_counts_are_read_from_an_index(tmp_path: Path, which: Selection) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    database = open_database(tmp_path)
    event.listen(Engine, "before_cursor_execute", note)
    try:
        with database.read() as tx:
            tx.environments.counted(EVERYTHING, which)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        database.close()
    (count,) = [(statement, parameters) for statement, parameters in asked if "count(" in statement]
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        ((*_, plan),) = connection.execute(f"EXPLAIN QUERY PLAN {count[0]}", count[1])
    assert "ix_environments_live" in plan
