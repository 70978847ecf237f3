"""Entries of the audit log are part of their transaction, tell what it changes, and are of limited size."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from environments.domain.environment import Environment
from environments.service.audit_values import LONGEST_VALUE
from environments.service.auditing import ATTEMPT, Attempt
from environments.service.authorization import Action, entry_of, may
from environments.service.storage.audit import AuditEntry, AuditFilter, StoredEntry
from environments.stores.audit import LONGEST_TEXT
from tests.fakes.plans import NOW
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness

PIN = "environment:pin"


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE)
    setting.create("demo", parameters={"code": "swordfish"})
    yield setting
    setting.database.close()


def demo(setting: EngineHarness) -> Environment:
    with setting.database.read() as tx:
        found = tx.environments.named("demo")
    assert found is not None
    return found


def entries(setting: EngineHarness, which: AuditFilter | None = None) -> list[StoredEntry]:
    with setting.database.read() as tx:
        return list(tx.audit.list(which or AuditFilter(action=PIN)))


def test_an_entry_tells_what_its_transaction_changes(setting: EngineHarness) -> None:
    environment = demo(setting)
    token = ATTEMPT.set(Attempt("PUT /v1/environments/{name}/pin"))
    try:
        with setting.database.write() as tx:
            may(tx, replace(ADMIN, address="192.0.2.7"), Action.ENVIRONMENT_PIN, environment)
            tx.environments.change(environment.id, owner="grace", parameters={**environment.parameters, "size": 3})
    finally:
        ATTEMPT.reset(token)
    (found,) = entries(setting)
    assert found.position is None
    entry = found.entry
    assert (entry.before, entry.after) == (
        {"owner": ADMIN.owner, "parameters": {}},
        {"owner": "grace", "parameters": {"size": 3}},
    )
    assert (entry.actor, entry.token_id, entry.role) == (ADMIN.owner, ADMIN.token_id, "admin")
    assert (entry.object_kind, entry.object_id, entry.object_name) == ("environment", environment.id, "demo")
    assert (entry.request, entry.address) == (
        "PUT /v1/environments/{name}/pin",
        "192.0.2.7",
    )
    assert (entry.outcome, entry.template) == ("allowed", environment.template)


def test_what_changed_of_anything_else_is_said_by_who_changed_it(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.audit.add(AuditEntry("policy:set", "ada"))
        tx.audit.changed(
            before={"maximum": 1, "rules": ["a"]},
            after={"maximum": 1, "rules": ["b"], "password": "swordfish"},
            object_kind="policy",
            object_name="team",
        )
    (found,) = entries(setting, AuditFilter(action="policy:set"))
    assert found.entry.before == {"rules": ["a"]}
    assert found.entry.after == {"rules": ["b"], "password": "••••••••"}
    assert (found.entry.object_kind, found.entry.object_name) == ("policy", "team")


def test_what_is_rolled_back_leaves_no_entry(setting: EngineHarness) -> None:
    def fail() -> None:
        with setting.database.write() as tx:
            may(tx, ADMIN, Action.ENVIRONMENT_PIN, demo(setting))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert entries(setting) == []


def test_a_transaction_that_reads_has_none(setting: EngineHarness) -> None:
    with setting.database.read() as tx:
        may(tx, ADMIN, Action.ENVIRONMENT_PIN)
        with pytest.raises(TypeError, match="writes"):
            tx.audit.add(entry_of(ADMIN, Action.ENVIRONMENT_PIN))
    with pytest.raises(TypeError, match="no entry"), setting.database.write() as tx:
        tx.audit.changed(after={})


def test_values_are_cut_and_what_no_database_holds_is_replaced(setting: EngineHarness) -> None:
    huge, odd = "x" * 1_000_000, "a\0b\ud800c"
    with setting.database.write() as tx:
        tx.audit.add(AuditEntry(PIN, odd, address=huge, reason=huge, object_name=odd))
        tx.audit.changed(after={"text": huge, odd: odd, "deep": [[[huge]]], **{f"n{n}": n for n in range(1000)}})
    (found,) = entries(setting)
    entry = found.entry
    assert entry.actor == entry.object_name == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    assert len(entry.reason) <= LONGEST_TEXT
    assert len(entry.address) <= 80
    assert entry.after is not None
    assert len(str(entry.after)) < 50 * LONGEST_VALUE


def test_pages_and_filters(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        for number in range(5):
            tx.audit.add(AuditEntry("token:create", f"p{number % 2}", object_id=f"tok-{number}", at=NOW))
    which = AuditFilter(action="token:create")
    with setting.database.read() as tx:
        first = tx.audit.list(which, limit=2)
        rest = tx.audit.list(which, before=first[-1].id)
        of_one = tx.audit.list(AuditFilter(actor="p1"))
        none = tx.audit.list(AuditFilter(action="token:create", until=NOW))
        some = tx.audit.list(AuditFilter(action="token:create", since=NOW, object="tok-3"))
        got = tx.audit.get(first[0].id)
    assert [one.entry.object_id for one in [*first, *rest]] == [f"tok-{number}" for number in (4, 3, 2, 1, 0)]
    assert {one.entry.object_id for one in of_one} == {"tok-1", "tok-3"}
    assert none == []
    assert [one.entry.object_id for one in some] == ["tok-3"]
    assert got == first[0]
