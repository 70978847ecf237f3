"""The tables and the migrations that make them, on both databases; how a database that can't be used is told."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from environments.domain.errors import (
    CalvinverseError,
    DatabaseDenied,
    DatabaseFromFuture,
    DatabaseUnavailable,
    StorageError,
)
from environments.service.storage.tokens import TokenRecord
from environments.stores import migrating
from environments.stores.column_types import metadata
from environments.stores.database import Database, open_database
from environments.stores.migrating import alembic_config
from environments.stores.sqlite import FILE
from tests.fakes.plans import NOW
from tests.support.postgres import Postgres
from tests.support.service_process import free_port

_ASKED = """
import pathlib, sys
from environments.stores.sqlite import open_sqlite
database = open_sqlite(pathlib.Path(sys.argv[1]))
with database._engine.connect() as connection:
    print(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
database.close()
"""

TOKEN = TokenRecord("tok-1", "cv_abcd", "0" * 64, "ada", "admin", "", NOW, None, None, None)

_FIRST = TokenRecord._fields[: TokenRecord._fields.index("parent_id")]
"""What a token had in the first schema."""


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.empty_database()


def differences(url: str) -> list[object]:
    """Between the tables of a database and those of the schema."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            found: list[object] = compare_metadata(MigrationContext.configure(connection), metadata)
            return found
    finally:
        engine.dispose()


def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    assert differences(f"sqlite:///{tmp_path / FILE}") == []


def test_on_postgresql_too(postgres: Postgres, address: str, tmp_path: Path) -> None:
    open_database(tmp_path, address, postgres.password_file).close()
    _, _, place = address.partition("@")
    assert differences(f"postgresql+psycopg://calvinverse:{postgres.password}@{place}") == []


def test_of_many_that_start_at_once_one_migrates(postgres: Postgres, address: str, tmp_path: Path) -> None:
    opened: list[Database] = []
    failed: list[CalvinverseError] = []

    def start() -> None:
        try:
            opened.append(open_database(tmp_path, address, postgres.password_file))
        except CalvinverseError as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    for database in opened:
        with database.read() as tx:
            assert tx.environments.all() == []
        database.close()
    assert len(opened) == 6


def test_an_older_database_is_migrated_with_all_it_holds(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / FILE}")
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.commit()
    engine.dispose()
    with sqlite3.connect(tmp_path / FILE) as raw:
        there = {name: value for name, value in TOKEN._asdict().items() if name in _FIRST}
        columns = ", ".join(there)
        values = [f"{NOW:%Y-%m-%d %H:%M:%S.%f}" if value is NOW else value for value in there.values()]
        raw.execute(f"INSERT INTO tokens ({columns}) VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608
    raw.close()
    database = open_database(tmp_path)
    try:
        with database.read() as tx:
            assert tx.tokens.all(None) == [TOKEN]
            assert tx.images.current() == []
    finally:
        database.close()
    folder = Path(migrating.__file__).parent / "migrations" / "versions"
    newest = max(path.name[:4] for path in folder.glob("0*.py"))
    assert [path.name for path in tmp_path.glob("*.before-*")] == [f"{FILE}.before-{newest}"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_who_has_secrets_has_what_lending_tokens_leaves_in_the_inventory(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """So that it goes with an environment that was made before there were such tokens."""
    url = f"sqlite:///{tmp_path / FILE}"
    opening: tuple[Any, ...] = (tmp_path,)
    if kind == "postgresql":
        server, address = request.getfixturevalue("postgres"), request.getfixturevalue("address")
        url = f"postgresql+psycopg://calvinverse:{server.password}@{address.partition('@')[2]}"
        opening = (tmp_path, address, server.password_file)
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0003")
        for number, gone, kinds in (
            (1, None, ["vault.secret", "vault.secret"]),
            (2, NOW, ["vault.secret"]),
            (3, None, ["nomad.job"]),
            (4, None, ["vault.secret", "vault.identity"]),
        ):
            row: dict[str, Any] = {
                "id": f"env-{number}",
                "name": f"name-{number}",
                "destroyed_at": gone,
                **dict.fromkeys(("owner", "template", "template_version", "bundle"), "x"),
                **dict.fromkeys(("state_since", "created_at"), NOW),
                "parameters": {},
                "outputs": {},
                "state": "ready",
                "warned": False,
                "destroy_attempts": 0,
            }
            connection.execute(metadata.tables["environments"].insert().values(row))
            for place, resource in enumerate(kinds):
                is_lent = resource == "vault.identity"
                row = {
                    "environment_id": f"env-{number}",
                    "kind": resource,
                    "address": f"token/name-{number}" if is_lent else f"{place}",
                    "step": None if is_lent else "a",
                    "rank": 34 if is_lent else 0,
                    "status": "present",
                    "detail": "",
                    **dict.fromkeys(("created_at", "updated_at"), NOW),
                }
                connection.execute(metadata.tables["resources"].insert().values(row))
    engine.dispose()
    database = open_database(*opening)
    with database.read() as tx:
        issued = {
            number: [(found.address, found.status.value) for found in tx.inventory.shared_by_rank(f"env-{number}")]
            for number in range(1, 5)
        }
    database.close()
    assert issued == {1: [("token/name-1", "intended")], 2: [], 3: [], 4: [("token/name-4", "present")]}


def test_a_database_of_a_newer_version_is_left_alone(postgres: Postgres, address: str, tmp_path: Path) -> None:
    open_database(tmp_path, address, postgres.password_file).close()
    with postgres.connect(address.rpartition("/")[2]) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseFromFuture, match="has version 9999"):
        open_database(tmp_path, address, postgres.password_file)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(DatabaseUnavailable, match=f"some at 127.0.0.1:{port} can't be reached") as caught:
        open_database(tmp_path, f"postgresql://me@127.0.0.1:{port}/some")
    assert caught.value.transient


def test_a_wrong_password_is_told_without_it(postgres: Postgres, address: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("swordfish\n")
    with pytest.raises(DatabaseDenied, match="password authentication failed") as caught:
        open_database(tmp_path, address, tmp_path / "password")
    assert not caught.value.transient
    assert "swordfish" not in str(caught.value)
    with pytest.raises(DatabaseDenied, match="can't be read: No such file"):
        open_database(tmp_path, address, tmp_path / "nowhere")


def test_a_database_that_does_not_exist_is_told(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist") as caught:
        open_database(tmp_path, postgres.address("nothing"), postgres.password_file)
    assert "createdb" in caught.value.hint


def test_too_many_connections_pass(postgres: Postgres, address: str, tmp_path: Path) -> None:
    with postgres.connect("postgres") as connection:
        connection.execute(
            f"CREATE ROLE few LOGIN CONNECTION LIMIT 1 PASSWORD '{postgres.password}' IN ROLE calvinverse"
        )
    database = open_database(tmp_path, address.replace("calvinverse@", "few@"), postgres.password_file)
    try:
        with database.read() as first:
            with pytest.raises(DatabaseUnavailable, match="no free connection"), database.read():
                pass
            assert first.events.newest() == 0
        with database.read() as tx:
            assert tx.events.newest() == 0
    finally:
        database.close()


def test_environments_from_before_keep_the_network_of_their_nodes_with_the_version_that_they_have(
    tmp_path: Path,
) -> None:
    """Not those that are destroyed, and nothing of it holds for another version."""
    engine = create_engine(f"sqlite:///{tmp_path / FILE}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0010")
        for number, gone in ((1, None), (2, NOW)):
            row: dict[str, Any] = {
                "id": f"env-{number}",
                "name": f"name-{number}",
                "destroyed_at": gone,
                **dict.fromkeys(("owner", "template", "template_version"), "x"),
                "bundle": "sha256:before",
                **dict.fromkeys(("state_since", "created_at"), NOW),
                "parameters": {},
                "outputs": {},
                "state": "ready",
                "warned": False,
                "destroy_attempts": 0,
            }
            names = metadata.tables["environments"].c.keys()
            columns = [name for name in names if name not in ("network", "host_network_bundle")]
            values = {name: row[name] for name in columns if name in row}
            connection.execute(metadata.tables["environments"].insert().values(values))
    engine.dispose()
    database = open_database(tmp_path)
    try:
        with database.read() as tx:
            kept, gone_one = (tx.environments.get(f"env-{number}") for number in (1, 2))
    finally:
        database.close()
    assert kept is not None
    assert gone_one is not None
    assert (kept.network, kept.network_by("sha256:before", "bridge")) == ("host", "host")
    assert (kept.network_by("sha256:after", "bridge"), kept.network_by("sha256:after", "host")) == ("bridge", "host")
    assert (gone_one.network, gone_one.network_by("sha256:before", "bridge")) == ("bridge", "bridge")


def test_what_is_committed_survives_a_power_cut_except_in_tests(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _ASKED, str(tmp_path)]
    asked = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert asked.stdout.split() == ["2"]  # FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
