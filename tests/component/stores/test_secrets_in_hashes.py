"""A short secret is guessed from any plain hash that it went into: none is stored."""

import hashlib
import sqlite3
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from environments.domain.commands import CreateEnvironment, MakePlan
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.template import make_bundle
from environments.service.authorization import Principal
from environments.stores.database import open_database
from environments.stores.migrating import alembic_config
from environments.stores.sqlite import FILE
from tests.fakes.service import WEB, make_service
from tests.support.engine_harness import TEMPLATE, EngineHarness

ALICE, BOB = Principal("alice", "user", "tok-a"), Principal("bob", "user", "tok-b")
_PIN = '[parameters.pin]\ntype = "string"\nwriteOnly = true\n\n'
LOCKED = WEB.replace("[parameters.verbose]", f"{_PIN}[parameters.verbose]")


def stored(folder: Path) -> bytes:
    """Everything in a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_hash_of_a_request_tells_nothing_to_who_has_the_database(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    service.catalogue.push(service.admin, make_bundle({"template.toml": LOCKED.encode()}))
    pins = [f"{number:04d}" for number in range(10_000)]
    request = CreateEnvironment(name="demo", template="web", parameters={"pin": "4711"})
    service.requests.create(ALICE, request, "key")
    with service.database.read() as tx:
        known = tx.requests.find(ALICE.token_id, "key")
    service.database.close()
    assert known is not None
    bodies = [request.model_copy(update={"parameters": {"pin": pin}}).model_dump_json() for pin in pins]
    hashes = {hashlib.sha256(body.encode()).hexdigest() for body in bodies}
    assert known.request_hash not in hashes
    content = stored(tmp_path)
    assert not [digest for digest in hashes if digest.encode() in content]


def test_equal_requests_of_two_people_do_not_look_equal(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    request = CreateEnvironment(name="demo", template="web")
    service.requests.create(ALICE, request, "key")
    service.finish("demo", State.READY)
    service.requests.create(BOB, request.model_copy(update={"name": "other"}), "key")
    with service.database.read() as tx:
        first, second = (tx.requests.find(who.token_id, "key") for who in (ALICE, BOB))
    service.database.close()
    assert first is not None
    assert second is not None
    assert first.request_hash != second.request_hash


def test_an_upgrade_leaves_no_hash_of_older_versions(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / FILE}")
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0003")
        connection.commit()
    engine.dispose()
    plain = hashlib.sha256(b"a request with a PIN").hexdigest()
    with sqlite3.connect(tmp_path / FILE) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        for number in range(200):
            row = ("tok-1", f"key-{number}", plain, "env-1", "dep-1", "2026-01-01 00:00:00.000000")
            raw.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)", row)
    raw.close()
    assert plain.encode() in stored(tmp_path)
    database = open_database(tmp_path)
    try:
        with database.read() as tx:
            assert tx.requests.find("tok-1", "key-1") is None
        assert plain.encode() not in stored(tmp_path)
    finally:
        database.close()
    assert list(tmp_path.glob("*.before-*"))


def test_secret_parameters_do_not_go_into_what_stands_for_the_options_of_a_step(tmp_path: Path) -> None:
    """Nor into plans: what is kept of both is equal for different secrets."""
    kept = []
    for secret in ("1111", "2222"):
        setting = EngineHarness(tmp_path / secret)
        setting.push(TEMPLATE)
        wanted = MakePlan(kind=DeploymentKind.CREATE, template="things", parameters={"code": secret})
        plan = setting.planning.plan(ALICE, "two", wanted)
        setting.create(parameters={"code": secret})
        setting.worker.start()
        setting.wait_for(State.READY)
        with setting.database.read() as tx:
            steps = tx.journal.steps(tx.deployments.of(setting.environment().id)[0].id)
        setting.stop()
        kept.append(([step.inputs for step in steps], [step.model_dump() for step in plan.steps]))
        assert all(step.inputs for step in steps)
    assert kept[0] == kept[1]
