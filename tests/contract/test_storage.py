"""The database as the use cases and the engine need it: the same on SQLite and PostgreSQL, also when several race."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from environments.domain.access import Sight
from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Deployment, Environment, EventType
from environments.domain.errors import (
    DatabaseUnavailable,
    InvalidInput,
    LeaseLost,
    NameTaken,
    NotAllowedNow,
    StorageError,
    UnknownEnvironment,
)
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State, StepState
from environments.domain.plan import Plan
from environments.domain.references import SecretReference
from environments.service.leadership import Leadership
from environments.service.records import Accepted
from environments.service.requests import Requests
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Transaction
from environments.stores import events, leader_lock, listening, postgres_calls
from environments.stores.database import Database, open_database
from tests.fakes.plans import NOW
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness
from tests.support.postgres import Postgres

KINDS = tuple(DeploymentKind)
SECRET = {"code": "swordfish"}
PATIENCE = 20.0


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


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.new_database()


def environment(number: int, **values: object) -> Environment:
    return Environment.model_validate(
        {
            "id": f"env-{number}",
            "name": f"name-{number}",
            "owner": "ada",
            "template": "things",
            "template_version": "1",
            "bundle": "sha256:0",
            "state": State.REQUESTED,
            "state_since": NOW,
            "created_at": NOW,
            **values,
        }
    )


def deployment(number: int, of: int, kind: DeploymentKind = DeploymentKind.CREATE) -> Deployment:
    return Deployment(
        id=f"dep-{number}",
        environment_id=f"env-{of}",
        kind=kind,
        state=DeploymentState.QUEUED,
        reason="",
        requested_by="ada",
        requested_at=NOW + timedelta(seconds=number),
        bundle="sha256:0",
    )


def told(tx: Transaction, after: int = 0) -> list[str]:
    return [event.message for event in tx.events.after(after, environment_id=None, limit=10_000)]


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What calls that begin at the same moment give; an error of theirs is what they give, too."""
    start = threading.Barrier(len(calls))

    def begin(call: Callable[[], object]) -> object:
        start.wait(PATIENCE)
        try:
            return call()
        except (NotAllowedNow, NameTaken, StorageError) as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def test_what_fails_leaves_nothing(setting: EngineHarness) -> None:
    def fail() -> None:
        with setting.database.write() as tx:
            tx.environments.add(environment(1))
            tx.events.add(EventType.LOG, "env-1", NOW, message="never")
            raise NotAllowedNow("No.")

    with pytest.raises(NotAllowedNow):
        fail()
    with setting.database.read() as tx:
        assert tx.environments.get("env-1") is None
        assert told(tx) == []


def test_names_and_ids_are_two_namespaces(setting: EngineHarness) -> None:
    later, ended = NOW + timedelta(hours=1), {"state": State.DESTROYED, "destroyed_at": NOW}
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
        tx.environments.add(environment(2, name="env-1", owner="eve"))
        tx.environments.add(environment(3, name="old", created_at=NOW, **ended))
        tx.environments.add(environment(4, name="old", created_at=later, **ended))
        tx.environments.add(environment(5, name="name-1", owner="eve", created_at=later, **ended))
    for open_transaction in (setting.database.read, setting.database.write):
        with open_transaction() as tx:

            def named(name: str, owner: str | None = None, tx: Transaction = tx) -> str | None:
                found = tx.environments.named(name, sight=Sight.of(None if owner is None else {owner}))
                return None if found is None else found.id

            assert [getattr(tx.environments.get(said), "name", None) for said in ("env-1", "env-2", "name-1")] == [
                "name-1",
                "env-1",
                None,
            ]
            assert (named("env-1"), named("env-2"), named("old")) == ("env-2", None, "env-4")
            assert (named("name-1"), named("name-1", "eve"), named("env-1", "ada")) == ("env-1", "env-5", None)


def test_events_come_with_the_owner_as_it_is_now(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
        tx.events.add(EventType.LOG, "env-1", NOW, message="first")
    for owner in ("ada", "eve"):
        with setting.database.write() as tx:
            tx.environments.change("env-1", owner=owner)
        with setting.database.read() as tx:
            found = tx.events.shared_after(0, limit=10)
            assert [(event.message, shared.owner) for event, shared in found] == [("first", owner)]
            theirs = tx.events.after(0, environment_id="env-1", sight=Sight.of({owner}), limit=10)
            assert [event for event, _ in found] == theirs


REFERENCE = SecretReference("env-1", "password", "environments/name-1/password", "key")


@pytest.mark.parametrize("written_before", [False, True])
def test_references_to_secrets_are_kept_as_what_they_are(setting: EngineHarness, written_before: bool) -> None:
    """Those of the environment's own steps, in outputs and in the journal; also as version 1 wrote them, as texts."""
    lookalike = {"$secret": {"environment": "env-1", "step": "a", "path": "b", "key": "c"}}
    outputs = {"a": {"value": REFERENCE, "secret": True}, "b": {"value": lookalike, "secret": False}}
    given = {"references": {"key": REFERENCE}}
    with setting.database.write() as tx:
        for number in (1, 2):
            tx.environments.add(environment(number, outputs=outputs))
            tx.deployments.add(deployment(number, of=number))
            rows = [("password", "vault.secret", ()), ("module", "opentofu.module", ())]
            tx.journal.lay_out(f"dep-{number}", rows)
        for step, told in (("password", given), ("module", {"value": lookalike})):
            tx.journal.set("dep-1", step, StepState.RUNNING, NOW)
            tx.journal.set("dep-1", step, StepState.DONE, NOW, outputs=told)
        if written_before:
            connection = tx._connection
            old = '{"references": {"key": "secret:environments/name-1/password#key"}}'
            connection.execute(text("update steps set outputs = :old where name = 'password'"), {"old": old})
    with setting.database.read() as tx:
        assert [found.outputs for found in tx.environments.all()] == [outputs, outputs]
        assert {name: row.outputs for name, row in tx.journal.latest("env-1").items()} == {
            "password": given,
            "module": {"value": lookalike},
        }
        assert [row.outputs for row in tx.journal.steps("dep-1")] == [given, {"value": lookalike}]
        assert tx.journal.references("env-1") == [REFERENCE]
        assert tx.journal.references("env-2") == [], "its step is not done"


def test_a_view_does_not_change_while_it_is_read(setting: EngineHarness, other: Database) -> None:
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
    with setting.database.read() as view:
        before = view.environments.get("env-1")
        with other.write() as tx:
            tx.environments.change("env-1", warned=True)
        assert view.environments.get("env-1") == before
    with setting.database.read() as tx:
        found = tx.environments.get("env-1")
        assert found is not None
        assert found.warned


def test_a_list_shows_what_another_process_changed(setting: EngineHarness, other: Database) -> None:
    with setting.database.write() as tx:
        tx.environments.add(environment(1, parameters={"one": [1, 2]}))
        tx.environments.add(environment(2))
    for warned in (True, False):
        with other.write() as tx:
            tx.environments.change("env-1", warned=warned, outputs={"warned": warned})
        with setting.database.read() as tx:
            found = {item.id: item for item in tx.environments.all()}
            assert found["env-1"] == tx.environments.get("env-1")
            assert found["env-1"].outputs == {"warned": warned}
            assert found["env-1"].parameters == {"one": [1, 2]}


def test_a_name_is_taken_by_a_live_environment_only(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
    with pytest.raises(NameTaken), setting.database.write() as tx:
        tx.environments.add(environment(2, name="name-1"))
    with setting.database.write() as tx:
        tx.environments.change("env-1", destroyed_at=NOW)
        tx.environments.add(environment(2, name="name-1"))


def test_another_clash_is_not_taken_for_one_of_names(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
    with pytest.raises(StorageError) as caught, setting.database.write() as tx:
        tx.environments.add(environment(1, name="other"))
    assert type(caught.value) is StorageError


def test_ids_of_events_become_readable_in_order(setting: EngineHarness, other: Database) -> None:
    """A reader goes on from the last id that it saw: what is committed later must not have a smaller one."""
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
    seen: list[str] = []

    def second() -> None:
        with other.write() as tx:
            tx.events.add(EventType.LOG, "env-1", NOW, message="second")

    with setting.database.write() as tx:
        tx.events.add(EventType.LOG, "env-1", NOW, message="first")
        tx.events.flush()  # the id is given; the commit comes later
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.5)
        with setting.database.read() as view:
            seen += told(view)
            last = view.events.newest()
    thread.join(PATIENCE)
    with setting.database.read() as view:
        seen += told(view, after=last)
    assert seen == ["first", "second"]


def test_a_reader_misses_no_event_of_many_writers(setting: EngineHarness, other: Database) -> None:
    with setting.database.write() as tx:
        for number in range(4):
            tx.environments.add(environment(number))

    def write(number: int) -> None:
        database = (setting.database, other)[number % 2]
        for count in range(25):
            with database.write() as tx:
                tx.events.add(EventType.LOG, f"env-{number}", NOW, message=f"{number} {count}")
                tx.environments.change(f"env-{number}", warned=True)

    seen: list[str] = []
    last = 0
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, number) for number in range(4)]
        while True:
            over = all(done.done() for done in writing)
            with setting.database.read() as tx:
                found = tx.events.after(last, environment_id=None, limit=1000)
            seen += [event.message for event in found]
            last = found[-1].id if found else last
            if over:
                break
    for done in writing:
        done.result()
    assert len(seen) == 100
    assert [message for message in seen if message.startswith("0 ")] == [f"0 {count}" for count in range(25)]


def test_log_lines_may_hold_anything(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
        tx.events.add_logs([("env-1", "dep-1", None, NOW, "a\0b"), ("env-1", "dep-1", None, NOW, "ünï ✓ '; --")])
    with setting.database.read() as tx:
        assert told(tx) == ["a\N{REPLACEMENT CHARACTER}b", "ünï ✓ '; --"]


def test_old_events_are_forgotten_some_at_a_time(setting: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_FORGOTTEN_AT_ONCE", 3)
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
        tx.events.add_logs([("env-1", "dep-1", None, NOW, f"line {number}") for number in range(5)])
        tx.events.add(EventType.ENVIRONMENT_STATE, "env-1", NOW, message="kept longer")
    forgot = []
    for _ in range(3):
        with setting.database.write() as tx:
            later = NOW + timedelta(days=1)
            forgot.append(tx.events.forget(logs_before=later, events_before=NOW))
    assert forgot == [3, 2, 0]
    with setting.database.read() as tx:
        assert told(tx) == ["kept longer"]


def test_commits_of_others_are_told_at_once(
    setting: EngineHarness, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "POLLED_EVERY", 60.0)
    heard: list[int] = []
    changed = threading.Event()

    def hear(newest: int) -> None:
        heard.append(newest)
        changed.set()

    other.follow(hear)
    if other.shared:
        assert changed.wait(PATIENCE)  # it listens, and has looked
        changed.clear()
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
        tx.events.add(EventType.LOG, "env-1", NOW, message="told")
    assert changed.wait(PATIENCE)
    with setting.database.read() as tx:
        assert heard[-1] == tx.events.newest() > 0


def test_the_same_key_makes_one_environment(setting: EngineHarness, other: Database) -> None:
    second = Requests(other, setting.requests._sealer, setting.clock, setting.new_id, setting.checks)
    for number in range(8):
        request = CreateEnvironment(name=f"name-{number}", template="things", parameters=SECRET)
        first, again = at_once(
            lambda request=request, key=f"key-{number}": setting.requests.create(ADMIN, request, key),  # type: ignore[misc]
            lambda request=request, key=f"key-{number}": second.create(ADMIN, request, key),  # type: ignore[misc]
        )
        assert isinstance(first, Accepted)
        assert isinstance(again, Accepted)
        assert (first.environment, first.deployment_id) == (again.environment, again.deployment_id)


def test_one_of_two_gets_the_name(setting: EngineHarness, other: Database) -> None:
    second = Requests(other, setting.requests._sealer, setting.clock, setting.new_id, setting.checks)
    for number in range(8):
        request = CreateEnvironment(name=f"name-{number}", template="things", parameters=SECRET)
        given = at_once(
            lambda request=request: setting.requests.create(ADMIN, request),  # type: ignore[misc]
            lambda request=request: second.create(ADMIN, request),  # type: ignore[misc]
        )
        assert sorted(isinstance(item, NameTaken) for item in given) == [False, True]


def ready(setting: EngineHarness, name: str) -> str:
    """An environment that is ready, as if deployed; its id."""
    setting.create(name, parameters=SECRET)
    environment = setting.environment(name)
    with setting.database.write() as tx:
        claim = claimed(tx, "maker")
        tx.deployments.end(claim.id, "maker", claim.epoch, DeploymentState.SUCCEEDED, None, NOW)
        tx.environments.set_state(environment.id, State.READY, NOW)
    return environment.id


def claimed(tx: Transaction, worker: str, lease: float = 30.0) -> Deployment:
    claim = tx.deployments.claim(worker, lease, KINDS, NOW + timedelta(days=3650))
    assert claim is not None
    return claim.deployment


def test_two_who_destroy_get_the_same_deployment(setting: EngineHarness, other: Database) -> None:
    second = Requests(other, setting.requests._sealer, setting.clock, setting.new_id, setting.checks)
    for number in range(8):
        name = f"name-{number}"
        ready(setting, name)
        first, again = at_once(
            lambda name=name: setting.requests.destroy(ADMIN, name).deployment_id,  # type: ignore[misc]
            lambda name=name: second.destroy(ADMIN, name).deployment_id,  # type: ignore[misc]
        )
        assert first == again
        with setting.database.read() as tx:
            assert [item.id for item in tx.deployments.unfinished(setting.environment(name).id)] == [first]
        with setting.database.write() as tx:
            claim = claimed(tx, "cleaner")
            tx.deployments.end(claim.id, "cleaner", claim.epoch, DeploymentState.SUCCEEDED, None, NOW)


def test_a_destroy_wins_over_an_update(setting: EngineHarness, other: Database) -> None:
    second = Requests(other, setting.requests._sealer, setting.clock, setting.new_id, setting.checks)
    for number in range(8):
        name = f"name-{number}"
        environment_id = ready(setting, name)
        destroy, _ = at_once(
            lambda name=name: setting.requests.destroy(ADMIN, name).deployment_id,  # type: ignore[misc]
            lambda name=name: second.update(ADMIN, name, UpdateEnvironment(parameters={"word": "x"})),  # type: ignore[misc]
        )
        assert setting.environment(name).state is State.DESTROYING
        with setting.database.read() as tx:
            assert [item.id for item in tx.deployments.unfinished(environment_id)] == [destroy]
        with setting.database.write() as tx:
            claim = claimed(tx, "cleaner")
            assert claim.id == destroy
            tx.deployments.end(claim.id, "cleaner", claim.epoch, DeploymentState.SUCCEEDED, None, NOW)


def test_a_deployment_is_claimed_once(setting: EngineHarness, other: Database) -> None:
    with setting.database.write() as tx:
        for number in range(24):
            tx.environments.add(environment(number))
            tx.deployments.add(deployment(number, number))

    def claim_all(database: Database, worker: str) -> list[str]:
        taken: list[str] = []
        while True:
            with database.write() as tx:
                claim = tx.deployments.claim(worker, 30.0, KINDS, NOW + timedelta(days=3650))
            if claim is None:
                return taken
            taken.append(claim.deployment.id)

    given = at_once(*(lambda n=n: claim_all((setting.database, other)[n % 2], f"w{n}") for n in range(4)))
    taken = [item for items in given if isinstance(items, list) for item in items]
    assert sorted(taken) == sorted(f"dep-{number}" for number in range(24))


def test_an_environment_has_one_running_deployment(setting: EngineHarness, other: Database) -> None:
    with setting.database.write() as tx:
        for number in range(8):
            tx.environments.add(environment(number))
            tx.deployments.add(deployment(2 * number, number))
            tx.deployments.add(deployment(2 * number + 1, number, DeploymentKind.DESTROY))

    def claim_all(database: Database, worker: str) -> list[str]:
        taken: list[str] = []
        while True:
            with database.write() as tx:
                claim = tx.deployments.claim(worker, 30.0, KINDS, NOW + timedelta(days=3650))
            if claim is None:
                return taken
            taken.append(claim.environment.id)

    given = at_once(*(lambda n=n: claim_all((setting.database, other)[n % 2], f"w{n}") for n in range(4)))
    taken = [item for items in given if isinstance(items, list) for item in items]
    assert sorted(taken) == sorted(f"env-{number}" for number in range(8))


def test_the_database_itself_refuses_a_second_running_one(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
        tx.deployments.add(deployment(1, 1).model_copy(update={"state": DeploymentState.RUNNING}))
        tx.deployments.add(deployment(2, 1))
    with pytest.raises(StorageError), setting.database.write() as tx:
        tx.deployments.add(deployment(3, 1).model_copy(update={"state": DeploymentState.RUNNING}))


def test_who_lost_its_lease_writes_nothing_more(setting: EngineHarness, other: Database) -> None:
    with setting.database.write() as tx:
        tx.environments.add(environment(1))
        tx.deployments.add(deployment(1, 1))
        first = claimed(tx, "paused", lease=-1.0)
    with other.write() as tx:
        second = claimed(tx, "next")
    assert (second.id, second.epoch) == (first.id, first.epoch + 1)
    held = (first.id, "paused", first.epoch)
    with pytest.raises(LeaseLost), setting.database.write() as tx:
        tx.deployments.fence(*held)
    with pytest.raises(LeaseLost), setting.database.read() as tx:
        tx.deployments.check(*held)
    with pytest.raises(LeaseLost), setting.database.write() as tx:
        tx.deployments.end(*held, DeploymentState.SUCCEEDED, None, NOW)
    with setting.database.write() as tx:
        assert not tx.deployments.renew(*held, 30.0)
        tx.deployments.release(*held)
    with other.write() as tx:
        tx.deployments.fence(second.id, "next", second.epoch)
        tx.deployments.check(second.id, "next", second.epoch)


def test_a_destroy_waits_for_what_a_worker_writes_and_neither_gives_up(setting: EngineHarness, other: Database) -> None:
    """Both lock the environment and its deployment; in different orders each would wait for the other."""
    setting.create("one", parameters=SECRET)
    with setting.database.write() as tx:
        held = claimed(tx, "maker")
    second = Requests(other, setting.requests._sealer, setting.clock, setting.new_id, setting.checks)
    given: list[object] = []
    thread = threading.Thread(target=lambda: given.append(second.destroy(ADMIN, "one").deployment_id))
    with setting.database.write() as tx:
        tx.deployments.fence(held.id, "maker", held.epoch)
        thread.start()
        thread.join(0.3)
        tx.environments.set_state(held.environment_id, State.DEPLOYING, NOW)
        tx.events.add(EventType.LOG, held.environment_id, NOW, message="goes on")
    thread.join(PATIENCE)
    assert len(given) == 1
    assert setting.environment("one").state is State.DESTROYING


@pytest.fixture
def leaderships(postgres: Postgres, address: str, tmp_path: Path) -> Iterator[tuple[Leadership, Leadership]]:
    """The leaderships of two processes on the same database."""
    database = open_database(tmp_path, address, postgres.password_file)
    first, second = database.leadership(), database.leadership()
    yield first, second
    first.close()
    second.close()
    database.close()


def test_one_process_leads_and_another_when_it_ends(leaderships: tuple[Leadership, Leadership]) -> None:
    first, second = leaderships
    assert first.is_leader()
    assert not second.is_leader()
    assert first.is_leader()
    first.close()
    until(second.is_leader)
    assert not first.is_leader()


def test_who_also_answers_requests_leads_only_while_nobody_else_could(
    postgres: Postgres, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader_lock, "SILENCE", 60.0)
    database = open_database(tmp_path, address, postgres.password_file)
    answers, works = database.leadership(comes_first=False), database.leadership()
    try:
        assert answers.is_leader()
        assert not works.is_leader(), "it has come, and the other one still leads"
        assert not answers.is_leader(), "it gives leadership up"
        assert works.is_leader()
        assert not answers.is_leader()
        assert works.is_leader()
        works.close()
        until(answers.is_leader)
        assert not works.is_leader()
        assert not answers.is_leader()
        assert works.is_leader()
    finally:
        answers.close()
        works.close()
        database.close()


def test_who_comes_first_and_hangs_is_replaced_soon(
    postgres: Postgres, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader_lock, "SILENCE", 1.0)
    database = open_database(tmp_path, address, postgres.password_file)
    answers, works = database.leadership(comes_first=False), database.leadership()
    try:
        assert works.is_leader()
        until(answers.is_leader)
    finally:
        answers.close()
        works.close()
        database.close()


def test_a_leader_that_hangs_is_replaced_soon(
    leaderships: tuple[Leadership, Leadership], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader_lock, "SILENCE", 1.0)
    first, second = leaderships
    assert first.is_leader()
    until(second.is_leader)
    assert not first.is_leader()


def test_a_listener_that_was_cut_off_listens_again(
    postgres: Postgres, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "POLLED_EVERY", 60.0)
    database = open_database(tmp_path, address, postgres.password_file)
    writer = open_database(tmp_path, address, postgres.password_file)
    heard: list[int] = []
    try:
        with writer.write() as tx:
            tx.environments.add(environment(1))
        database.follow(heard.append)
        until(lambda: heard == [0])
        with postgres.connect("postgres") as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%'",
                (address.rpartition("/")[2],),
            )
        for _ in range(2):  # one while nobody listens, perhaps, and one later
            with writer.write() as tx:
                tx.events.add(EventType.LOG, "env-1", NOW, message="told")
            with writer.read() as tx:
                newest = tx.events.newest()
            until(lambda newest=newest: heard[-1] == newest)  # type: ignore[misc]
    finally:
        database.close()
        writer.close()


def test_a_server_that_was_away_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Postgres()
    try:
        database = open_database(tmp_path, server.start().new_database(), server.password_file)
        with database.write() as tx:
            tx.environments.add(environment(1))
            tx.events.add(EventType.LOG, "env-1", NOW, message="before")

        def write_while_it_dies() -> None:
            with database.write() as tx:
                tx.events.add(EventType.LOG, "env-1", NOW, message="lost")
                server.kill()

        with pytest.raises(DatabaseUnavailable):
            write_while_it_dies()
        with pytest.raises(DatabaseUnavailable, match="can't be reached"), database.read() as tx:
            tx.events.newest()
        server.start()
        with database.write() as tx:
            tx.events.add(EventType.LOG, "env-1", NOW, message="after")
        with database.read() as tx:
            assert told(tx) == ["before", "after"]
        monkeypatch.setattr(postgres_calls, "CONNECT_TIMEOUT", 2)
        monkeypatch.setattr(postgres_calls.LimitedConnection, "answer_timeout", 1.0)
        with server.frozen(), pytest.raises(DatabaseUnavailable, match="can't be reached"), database.read() as tx:
            tx.events.newest()
        with database.read() as tx:
            assert told(tx) == ["before", "after"]
        database.close()
    finally:
        server.close()


def test_a_change_that_stands_still_is_ended_and_can_be_made_again(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_calls, "IDLE_TIMEOUT", 0.5)
    address = postgres.new_database()
    open_database(tmp_path, address, postgres.password_file).close()  # migrations have limits of their own
    database = open_database(tmp_path, address, postgres.password_file)
    try:

        def stand_still() -> None:
            with database.write() as tx:
                tx.environments.add(environment(1))
                time.sleep(2)
                tx.events.newest()

        with pytest.raises(DatabaseUnavailable, match="nothing happened"):
            stand_still()
        with database.read() as tx:
            assert tx.environments.get("env-1") is None
    finally:
        database.close()


def until(true: Callable[[], bool]) -> None:
    """Waits until something holds; fails the test when it doesn't in time."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def test_what_an_owner_may_still_use_is_counted(setting: EngineHarness) -> None:
    soon, later = NOW + timedelta(hours=1), NOW + timedelta(hours=2)

    def plan(number: int, owner: str, expires_at: datetime) -> Plan:
        return Plan(
            id=f"plan-{number}",
            kind=DeploymentKind.REPAIR,
            environment="one",
            environment_id="env-1",
            template="web",
            template_version="1",
            bundle="x",
            parameters={},
            requested_by=owner,
            created_at=NOW,
            expires_at=expires_at,
            based_on=None,
            steps=(),
            request={},
        )

    def token(name: str, **values: Any) -> TokenRecord:
        values = {"owner": "ada", "expires_at": None, "revoked_at": None, "last_used_at": None, **values}
        return TokenRecord(id=name, prefix=name, hash="", role="user", note="", created_at=NOW, **values)

    with setting.database.write() as tx:
        for number, (owner, ends) in enumerate([("ada", later), ("ada", soon), ("ada", NOW), ("grace", soon)]):
            tx.plans.add(plan(number, owner, ends))
        tx.plans.add(plan(9, "ada", later))
        assert tx.plans.use("plan-9", "dep-1")
        assert tx.plans.living("ada", NOW) == [soon, later]
        for record in (
            token("used", last_used_at=later),
            token("unused", expires_at=soon),
            token("ended", expires_at=NOW),
            token("revoked", revoked_at=NOW),
            token("other", owner="grace"),
        ):
            tx.tokens.add(record)
        assert [found.id for found in tx.tokens.living("ada", NOW)] == ["unused", "used"]
        assert tx.tokens.living("ada", later)[0].id == "used"


def test_what_could_not_be_read_again_is_not_written(setting: EngineHarness) -> None:
    with pytest.raises(InvalidInput, match="half a character"), setting.database.write() as tx:
        tx.environments.add(environment(1, parameters={"word": "\ud800"}))
    with setting.database.read() as tx:
        assert tx.environments.all() == []


def test_a_name_with_a_character_that_cannot_be_stored_is_refused_or_unknown(setting: EngineHarness) -> None:
    """PostgreSQL keeps no U+0000 in a text."""
    with pytest.raises((UnknownEnvironment, InvalidInput)):
        setting.requests.retry(ADMIN, "on\0e")
    with setting.database.read() as tx:
        assert tx.environments.all() == []


def test_a_value_of_a_parameter_may_have_any_character(setting: EngineHarness) -> None:
    word = "a\0b\u2028👩‍👩‍👧\x1b"
    given = {"code": "sword", "word": word}
    setting.requests.create(ADMIN, CreateEnvironment(name="any", template="things", parameters=given))
    assert setting.environment("any").parameters["word"] == word
