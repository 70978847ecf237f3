"""Names of environments: one holds a name, also after it was given up; what older databases hold is carried over."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, create_engine

from environments.domain.environment import Environment
from environments.domain.errors import NameTaken
from environments.domain.lifecycle import State
from environments.stores.database import Database, open_database
from environments.stores.migrating import alembic_config
from environments.stores.sqlite import FILE
from tests.fakes.plans import NOW
from tests.support.postgres import Postgres

DATABASES = ("sqlite", "postgresql")


class Place:
    """A database in which there is nothing yet."""

    def __init__(self, folder: Path, postgres: Postgres | None) -> None:
        self._folder = folder
        self._address = None if postgres is None else postgres.empty_database()
        self._password = None if postgres is None else postgres.password_file
        self.url = f"sqlite:///{folder / FILE}"
        if postgres is not None and self._address is not None:
            where = self._address.partition("@")[2]
            self.url = f"postgresql+psycopg://calvinverse:{postgres.password}@{where}"

    def open(self) -> Database:
        """Migrates it."""
        return open_database(self._folder, self._address, self._password)


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, request.getfixturevalue("postgres") if request.param == "postgresql" else None)


@pytest.fixture
def database(place: Place) -> Iterator[Database]:
    database = place.open()
    yield database
    database.close()


def environment(identity: str, name: str = "alpha", state: State = State.READY, **more: Any) -> Environment:
    fields = {"template": "t", "template_version": "1", "bundle": "sha256:0", "state_since": NOW, "created_at": NOW}
    return Environment(id=identity, name=name, owner="ada", state=state, **{**fields, **more})


def given_up(identity: str, name: str = "alpha") -> Environment:
    ended = {"destroyed_at": NOW, "observe_at": NOW + timedelta(hours=1)}
    return environment(identity, name, State.ABANDONED, **ended)


def is_free(database: Database, name: str = "alpha") -> bool:
    with database.read() as tx:
        try:
            tx.environments.check_free(name)
        except NameTaken:
            return False
    return True


def test_a_name_that_was_given_up_is_nobodys_until_nothing_is_left(database: Database) -> None:
    with database.write() as tx:
        tx.environments.add(given_up("env-1"))
    with pytest.raises(NameTaken, match="is reserved"), database.write() as tx:
        tx.environments.add(environment("env-2"))
    with database.write() as tx:
        tx.environments.add(environment("env-3", "beta"))
        tx.environments.change("env-1", observe_at=None)
    with database.write() as tx:
        tx.environments.add(environment("env-2"))
    with pytest.raises(NameTaken, match="There is an environment named 'alpha' already"), database.write() as tx:
        tx.environments.add(environment("env-4"))


def test_of_many_who_ask_at_once_one_gets_the_name(database: Database) -> None:
    made: list[str] = []
    refused: list[str] = []
    begin = threading.Barrier(8)

    def ask(number: int) -> None:
        begin.wait(120)
        try:
            with database.write() as tx:
                tx.environments.add(environment(f"env-{number}"))
            made.append(f"env-{number}")
        except NameTaken as taken:
            refused.append(taken.message)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(made), len(refused)) == (1, 7)


def test_who_is_being_given_up_never_lets_go_of_the_name(database: Database) -> None:
    """Giving up and asking for the name side by side: whatever comes first, the name is taken."""
    with database.write() as tx:
        tx.environments.add(environment("env-1", state=State.DESTROY_FAILED))
    got: list[str] = []
    stopping = threading.Event()

    def ask() -> None:
        number = 1
        while not stopping.is_set():
            number += 1
            try:
                with database.write() as tx:
                    tx.environments.add(environment(f"env-{number}"))
                got.append(f"env-{number}")
            except NameTaken:
                pass

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(20):
        with database.write() as tx:
            tx.environments.set_state(
                "env-1", State.ABANDONED, NOW, destroyed_at=NOW, observe_at=NOW + timedelta(hours=1)
            )
        with database.write() as tx:
            tx.environments.set_state("env-1", State.DESTROY_FAILED, NOW, destroyed_at=None, observe_at=None)
    stopping.set()
    asking.join(60)
    assert got == []


# --- databases of before ---


def _older(connection: Connection) -> None:
    """Revision 0003, with a name that an abandoned and a living environment have, and others that must stay as is."""
    command.upgrade(alembic_config(connection), "0003")
    tables = MetaData()
    tables.reflect(connection)

    def put(table: str, rows: list[dict[str, Any]]) -> None:
        connection.execute(tables.tables[table].insert(), rows)

    blank: dict[str, Any] = {
        "warned": False,
        "destroy_attempts": 0,
        "deadline": None,
        "maximum_deadline": None,
        "outputs": {},
    }
    rows: list[dict[str, Any]] = [
        {"id": "env-old", "name": "twice", "state": "abandoned", "destroyed_at": NOW, "observe_at": NOW},
        {"id": "env-new", "name": "twice", "state": "ready", "last_good": "dep-1"},
        {"id": "env-gone", "name": "gone", "state": "abandoned", "destroyed_at": NOW},
        {"id": "env-failed", "name": "failed", "state": "failed"},
        {"id": "env-keys", "name": "keys", "state": "ready", "last_good": "dep-2"},
        {"id": "env-meta", "name": "meta", "state": "ready", "last_good": "dep-3", "managed_by": "elsewhere"},
    ]
    whole = {"destroyed_at": None, "observe_at": None, "last_good": None, "managed_by": None, "failure": None}
    fields = {"owner": "ada", "template": "t", "template_version": "1", "bundle": "x", "parameters": {}}
    moments = {"state_since": NOW, "created_at": NOW}
    put("environments", [{**blank, **whole, **fields, **moments, **row} for row in rows])
    resources = [
        ("env-old", "nomad.namespace", "twice", "abandoned"),
        ("env-old", "consul.kv", "environments/twice/", "gone"),
        ("env-new", "nomad.namespace", "twice", "stuck"),
        ("env-gone", "nomad.namespace", "gone", "gone"),
        ("env-failed", "nomad.namespace", "failed", "intended"),
        ("env-keys", "consul.kv", "environments/keys/", "present"),
        ("env-meta", "nomad.namespace", "meta", "present"),
    ]
    common = {"step": None, "rank": 20, "detail": "", "created_at": NOW, "updated_at": NOW}
    names = ("environment_id", "kind", "address", "status")
    put("resources", [{**common, **dict(zip(names, row, strict=True))} for row in resources])
    connection.commit()


@pytest.fixture
def migrated(place: Place) -> Iterator[Database]:
    engine = create_engine(place.url)
    with engine.connect() as connection:
        _older(connection)
    engine.dispose()
    database = place.open()
    yield database
    database.close()


def test_a_name_that_two_have_stays_with_both_and_goes_to_a_third_when_both_are_gone(migrated: Database) -> None:
    with migrated.read() as tx:
        states = {found.id: found.state for found in tx.environments.all(ended=True) if found.name == "twice"}
    assert states == {"env-old": State.ABANDONED, "env-new": State.READY}
    assert not is_free(migrated, "twice")
    with migrated.write() as tx:
        tx.environments.set_state("env-new", State.UPDATING, NOW)  # it goes on as before
        tx.environments.set_state("env-new", State.READY, NOW)
        tx.environments.set_state("env-new", State.DESTROYED, NOW, destroyed_at=NOW)
    assert not is_free(migrated, "twice")
    with migrated.write() as tx:
        tx.environments.change("env-old", observe_at=None)
    assert is_free(migrated, "twice")


def test_it_goes_to_nobody_either_when_the_old_one_is_gone_first(migrated: Database) -> None:
    with migrated.write() as tx:
        tx.environments.change("env-old", observe_at=None)
    assert not is_free(migrated, "twice")
    with migrated.write() as tx:
        tx.environments.set_state("env-new", State.DESTROYED, NOW, destroyed_at=NOW)
    assert is_free(migrated, "twice")
    assert is_free(migrated, "gone")


def test_who_has_jobs_has_the_folders_that_they_read(migrated: Database) -> None:
    def held(identity: str) -> set[tuple[str, str]]:
        with migrated.read() as tx:
            return set(tx.inventory.held(identity, gone=True))

    def statuses(identity: str) -> dict[str, str]:
        with migrated.read() as tx:
            return {found.kind: found.status.value for found in tx.inventory.of(identity)}

    folders = {("vault.folder", "secret/environments/twice/"), ("consul.kv", "environments/twice/")}
    assert held("env-new") == {("nomad.namespace", "twice"), *folders}
    assert statuses("env-new") == {"nomad.namespace": "stuck", "vault.folder": "present", "consul.kv": "present"}
    assert held("env-old") == {("nomad.namespace", "twice"), *folders}
    assert statuses("env-old") == {"nomad.namespace": "abandoned", "vault.folder": "abandoned", "consul.kv": "gone"}
    assert held("env-keys") == {("consul.kv", "environments/keys/")}
    assert held("env-failed") == set(), "nobody knows whether its namespace was its own"
    assert set(statuses("env-gone")) == {"nomad.namespace"}
    assert set(statuses("env-meta")) == {"nomad.namespace"}
