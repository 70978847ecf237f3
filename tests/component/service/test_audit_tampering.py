"""Whatever somebody who has the database but not the key does to one entry, verifying finds it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Row

from environments.service.audit_chain import AuditChain, chain_all
from environments.service.audit_verifying import AuditVerifier
from environments.service.storage.audit import AuditEntry, Head
from environments.stores.audit_schema import audit, audit_checkpoints
from environments.stores.database import Database, open_database
from tests.fakes.plans import NOW

KEY = b"k" * 32
COLUMNS = sorted(column.name for column in audit.c)
NULLABLE = {column.name for column in audit.c if column.nullable}

texts = st.text(max_size=12)
entries = st.builds(
    AuditEntry,
    action=st.sampled_from(["token:create", "environment:update"]),
    actor=texts,
    address=texts,
    object_kind=st.just("token"),
    object_id=texts,
    after=st.none() | st.dictionaries(texts, st.none() | st.integers() | texts | st.lists(texts), max_size=3),
    outcome=st.sampled_from(["allowed", "refused"]),
    reason=texts,
    count=st.integers(1, 1000),
    at=st.integers(0, 10**6).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = open_database(Path(tmp_path_factory.mktemp("audit")))
    opened.audit_key = KEY
    yield opened
    opened.close()


def fill(database: Database, log: list[AuditEntry]) -> Head:
    with database._writing() as connection:
        connection.execute(audit.delete())
        connection.execute(audit_checkpoints.delete())
        connection.commit()
    with database.write() as tx:
        for entry in log:
            tx.audit.add(entry)
    chain = AuditChain(database, KEY, lambda: NOW)
    chain_all(chain)
    return chain.head()


def tamper(database: Database, how: Callable[[Connection, list[Row[Any]]], None]) -> None:
    with database._writing() as connection:
        rows = list(connection.execute(audit.select().order_by(audit.c.position)))
        how(connection, rows)
        connection.commit()


def is_found(database: Database, head: Head) -> bool:
    verdict = AuditVerifier(database, KEY).verify(NOW + timedelta(days=30), head=head)
    return bool(verdict.findings)


def set_row(connection: Connection, entry_id: int, **values: Any) -> None:
    connection.execute(audit.update().where(audit.c.id == entry_id).values(**values))


examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
logs = st.lists(entries, min_size=2, max_size=8)


@examples
@given(log=logs)
def test_an_untouched_log_has_no_finding(database: Database, log: list[AuditEntry]) -> None:
    head = fill(database, log)
    assert head.position == len(log)
    assert not is_found(database, head)


@examples
@given(log=logs, data=st.data())
def test_a_removed_entry_is_found(database: Database, log: list[AuditEntry], data: st.DataObject) -> None:
    head = fill(database, log)
    first = data.draw(st.integers(0, len(log) - 1))
    last = data.draw(st.integers(first, len(log) - 1))

    def remove(connection: Connection, rows: list[Row[Any]]) -> None:
        connection.execute(audit.delete().where(audit.c.id.in_([row.id for row in rows[first : last + 1]])))
        if data.draw(st.booleans(), label="the rest moves up"):
            for row in rows[last + 1 :]:
                set_row(connection, row.id, position=row.position - (last - first + 1))

    tamper(database, remove)
    assert is_found(database, head)


@examples
@given(log=logs, data=st.data(), column=st.sampled_from(COLUMNS))
def test_a_changed_field_is_found(database: Database, log: list[AuditEntry], data: st.DataObject, column: str) -> None:
    head = fill(database, log)
    which = data.draw(st.integers(0, len(log) - 1))
    values: dict[str, st.SearchStrategy[Any]] = {
        "id": st.integers(10**6, 10**7),
        "position": st.integers(-5, 0) | st.integers(100, 1000),
        "count": st.integers(),
        "at": st.datetimes().map(lambda moment: moment.replace(tzinfo=NOW.tzinfo)),
    }
    value = st.text(max_size=20) if column not in values else values[column]
    if column == "count":
        value = st.integers(-(2**31), 2**31)
    new = data.draw(value | st.none() if column in NULLABLE else value)

    def change(connection: Connection, rows: list[Row[Any]]) -> None:
        if rows[which]._mapping[column] == new:
            return
        set_row(connection, rows[which].id, **{column: new})
        changed.append(True)

    changed: list[bool] = []
    tamper(database, change)
    assert is_found(database, head) or not changed


@examples
@given(log=logs, data=st.data(), forged=entries)
def test_an_inserted_entry_is_found(
    database: Database, log: list[AuditEntry], data: st.DataObject, forged: AuditEntry
) -> None:
    """A new one or a copy, chained into the middle by hand, put at the end, or left for the service to chain."""
    head = fill(database, log)
    where = data.draw(st.integers(0, len(log)))
    copied = data.draw(st.booleans(), label="a copy of another entry")
    unchained = data.draw(st.booleans(), label="left unchained")

    def insert(connection: Connection, rows: list[Row[Any]]) -> None:
        values = dict(rows[where % len(rows)]._mapping)
        del values["id"]
        if not copied:
            values["actor"] = forged.actor + "!"
        if unchained:
            values.update(position=None, previous=None, hash=None)
        else:
            for row in reversed(rows[where:]):
                set_row(connection, row.id, position=row.position + 1)
            values.update(position=where + 1, previous=rows[where - 1].hash if where else "")
        connection.execute(audit.insert().values(**values))

    tamper(database, insert)
    if unchained:
        chain_all(AuditChain(database, KEY, lambda: NOW))
    assert is_found(database, head)


@examples
@given(log=logs, data=st.data())
def test_entries_that_changed_places_are_found(database: Database, log: list[AuditEntry], data: st.DataObject) -> None:
    head = fill(database, log)
    one = data.draw(st.integers(0, len(log) - 2))
    other = data.draw(st.integers(one + 1, len(log) - 1))
    links_too = data.draw(st.booleans(), label="the links stay where they were")

    def swap(connection: Connection, rows: list[Row[Any]]) -> None:
        here, there = rows[one], rows[other]
        names = ("position", "previous", "hash") if links_too else ("position",)
        set_row(connection, here.id, position=None)
        set_row(connection, there.id, **{name: here._mapping[name] for name in names})
        set_row(connection, here.id, **{name: there._mapping[name] for name in names})

    tamper(database, swap)
    assert is_found(database, head)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("raw", ["'words'", "x'ff00'", "1.5", "99999999999999", "'{'"])
def test_what_cannot_be_read_is_found_too(database: Database, column: str, raw: str) -> None:
    """Written past the types of the columns, as SQLite allows."""
    head = fill(database, [AuditEntry("token:create", "ada", at=NOW) for _ in range(4)])

    def write(connection: Connection, rows: list[Row[Any]]) -> None:
        connection.exec_driver_sql(f'UPDATE audit SET "{column}" = {raw} WHERE id = {rows[1].id}')  # noqa: S608 - ours

    if column == "id" and raw != "99999999999999":
        pytest.skip("the key of a table takes nothing but integers")
    tamper(database, write)
    assert is_found(database, head)
