"""The chain of the audit log: nothing committed is left out, it never forks, and pruning leaves a checkpoint."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from environments.domain.errors import CalvinverseError, InvalidInput
from environments.engine.audit_chainer import AuditChainer
from environments.service.audit_chain import AT_ONCE, AuditChain, chain_all
from environments.service.audit_verifying import AuditVerifier, FindingKind, Verdict
from environments.service.storage.audit import AuditEntry, AuditFilter, Head, StoredEntry
from environments.stores.audit_schema import audit, audit_checkpoints
from environments.stores.database import Database, open_database
from tests.fakes.plans import NOW
from tests.support.postgres import Postgres

KEY = b"k" * 32


@pytest.fixture(params=("sqlite", "postgresql"))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        opened = open_database(tmp_path)
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        opened = open_database(tmp_path, postgres.new_database(), postgres.password_file)
    opened.audit_key = KEY
    yield opened
    opened.close()


def write(database: Database, count: int, at: datetime = NOW) -> None:
    with database.write() as tx:
        for number in range(count):
            tx.audit.add(AuditEntry("token:create", "ada", object_id=f"tok-{number}", at=at))


def chain_of(database: Database, now: datetime = NOW, keep: timedelta = timedelta(days=400)) -> AuditChain:
    return AuditChain(database, KEY, lambda: now, keep)


def verified(database: Database, head: Head | None = None, now: datetime = NOW) -> Verdict:
    return AuditVerifier(database, KEY).verify(now, head=head)


def kinds(verdict: Verdict) -> set[FindingKind]:
    return {finding.kind for finding in verdict.findings}


def entries(database: Database) -> list[StoredEntry]:
    with database.read() as tx:
        return list(tx.audit.list(AuditFilter()))[::-1]


def test_entries_get_places_without_gaps(database: Database) -> None:
    chain = chain_of(database)
    assert chain.extend() == 0
    write(database, 3)
    assert chain.extend() == 3
    write(database, AT_ONCE + 1)
    assert chain_all(chain) == AT_ONCE + 1
    found = entries(database)
    assert [one.position for one in found] == list(range(1, AT_ONCE + 5))
    assert [one.previous for one in found] == ["", *(one.hash for one in found[:-1])]
    verdict = verified(database, chain.head())
    assert (verdict.findings, verdict.entries, verdict.head) == ([], AT_ONCE + 4, chain.head())
    assert verdict.next is None


def test_a_walk_goes_in_parts(database: Database) -> None:
    write(database, 25)
    chain_all(chain_of(database))
    verifier = AuditVerifier(database, KEY)
    after, ends = None, []
    while True:
        verdict = verifier.verify(NOW, after=after, part=10)
        assert verdict.findings == []
        ends.append((verdict.start, verdict.end))
        if verdict.next is None:
            break
        after = verdict.next
    assert ends == [(0, 10), (10, 20), (20, 25)]


def test_what_a_crash_left_unchained_is_chained_later(database: Database) -> None:
    """The process that wrote it ended between the commit and the chaining: another one goes on with the same chain."""
    write(database, 2)
    chain_of(database).extend()
    write(database, 2)
    verdict = verified(database)
    assert (verdict.findings, verdict.unchained) == ([], 2)
    assert kinds(verified(database, now=NOW + timedelta(hours=1))) == {FindingKind.UNCHAINED}
    chain_of(database).extend()
    assert [one.position for one in entries(database)] == [1, 2, 3, 4]
    assert verified(database, now=NOW + timedelta(hours=1)).findings == []


def test_two_leaders_make_one_chain(database: Database) -> None:
    failed: list[CalvinverseError] = []
    done = threading.Event()

    def lead() -> None:
        chain = chain_of(database)
        try:
            while not done.is_set():
                chain.extend()
            chain_all(chain)
        except CalvinverseError as error:
            failed.append(error)

    def write_often() -> None:
        for _ in range(20):
            write(database, 3)

    leaders = [threading.Thread(target=lead) for _ in range(3)]
    writers = [threading.Thread(target=write_often) for _ in range(3)]
    for thread in (*leaders, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    done.set()
    for thread in leaders:
        thread.join(60)
    chain_all(chain_of(database))
    assert failed == []
    assert sorted(one.position or 0 for one in entries(database)) == list(range(1, 181))
    assert verified(database).findings == []


def test_ids_that_become_visible_out_of_order_are_all_chained(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    postgres: Postgres = request.getfixturevalue("postgres")
    database = open_database(tmp_path, postgres.new_database(), postgres.password_file)
    database.audit_key = KEY
    try:
        with database.write() as slow:
            slow.audit.add(AuditEntry("token:create", "slow", at=NOW))
            slow.audit.flush()  # it has its id now, and isn't committed
            write(database, 1)
            assert chain_of(database).extend() == 1
        assert chain_of(database).extend() == 1
        found = entries(database)
        assert [(one.entry.actor, one.position) for one in found] == [("slow", 2), ("ada", 1)]
        assert verified(database).findings == []
    finally:
        database.close()


def test_pruning_leaves_a_checkpoint_that_the_chain_follows(database: Database) -> None:
    later = NOW + timedelta(days=500)
    write(database, 5)
    write(database, 2, later)
    chain = chain_of(database, later)
    chain_all(chain)
    old_head = chain.head()
    assert chain.prune() == 5
    chain_all(chain)
    found = entries(database)
    assert [one.position for one in found] == [6, 7, 8]
    assert (found[-1].entry.action, found[-1].entry.after) == (
        "audit:prune",
        {"entries": 5, "hash": found[0].previous, "position": 5},
    )
    verdict = verified(database, old_head, later)
    assert verdict.findings == []
    assert verdict.checkpoint is not None
    assert (verdict.checkpoint.position, verdict.checkpoint.pruned) == (5, 5)
    assert chain.prune() == 0
    with pytest.raises(InvalidInput, match="pruned"):
        verified(database, Head(3, "x"), later)
    assert verified(database, Head(5, found[0].previous or ""), later).findings == []


def test_pruning_everything_keeps_the_place(database: Database) -> None:
    later = NOW + timedelta(days=500)
    write(database, 3)
    chain = chain_of(database, later)
    chain_all(chain)
    assert chain.prune() == 3
    assert chain.head().position == 3
    chain_all(chain)
    assert [one.position for one in entries(database)] == [4]
    assert verified(database, now=later).findings == []
    again = chain_of(database, later + timedelta(days=500))
    assert again.prune() == 1
    chain_all(again)
    verdict = verified(database, now=later + timedelta(days=500))
    assert verdict.findings == []
    assert verdict.checkpoint is not None
    assert verdict.checkpoint.pruned == 4


def test_a_forged_checkpoint_is_found_and_pruning_does_not_make_it_ours(database: Database) -> None:
    later = NOW + timedelta(days=500)
    write(database, 10)
    chain = chain_of(database, later)
    chain_all(chain)
    hidden = entries(database)[3]
    with database._writing() as connection:
        connection.execute(audit.delete().where(audit.c.position <= 4))
        connection.execute(
            audit_checkpoints.insert().values(position=4, hash=hidden.hash, pruned=4, at=NOW, seal="0" * 64)
        )
        connection.commit()
    assert kinds(verified(database, now=later)) == {FindingKind.CHECKPOINT}
    with capture_logs() as logs:
        assert chain.prune() == 0
    assert [line["event"] for line in logs] == ["audit.not_pruned"]
    assert len(entries(database)) == 6


def test_entries_before_the_beginning_are_found(database: Database) -> None:
    later = NOW + timedelta(days=500)
    write(database, 3)
    write(database, 1, later)
    chain = chain_of(database, later)
    chain_all(chain)
    old = entries(database)[1]
    chain.prune()
    with database._writing() as connection:
        row = connection.execute(audit.select()).first()
        assert row is not None
        connection.execute(audit.insert().values({**row._mapping, "id": 10_000, "position": old.position}))
        connection.commit()
    assert FindingKind.ADDED in kinds(verified(database, now=later))


def test_a_leader_tells_when_the_end_of_its_chain_is_gone(database: Database) -> None:
    chain = chain_of(database)
    write(database, 5)
    chain_all(chain)
    head = chain.head()
    with database._writing() as connection:
        connection.execute(audit.delete().where(audit.c.position > 3))
        connection.commit()
    assert verified(database).findings == []
    assert kinds(verified(database, head)) == {FindingKind.TAIL}
    write(database, 1)
    with capture_logs() as logs:
        chain_all(chain)
    assert [(line["event"], line["position"], line["found_position"]) for line in logs] == [("audit.tail_lost", 5, 3)]
    write(database, 1)
    chain_all(chain)
    assert kinds(verified(database, head)) == {FindingKind.TAIL}


def test_another_key_verifies_nothing(database: Database) -> None:
    write(database, 2)
    chain_all(chain_of(database))
    found = AuditVerifier(database, b"another key").verify(NOW)
    assert kinds(found) == {FindingKind.ALTERED, FindingKind.OUT_OF_PLACE}


def test_the_thread_chains_within_a_second_and_logs_the_head(database: Database) -> None:
    chainer = AuditChainer(chain_of(database), lambda: True)
    database.on_audit.append(chainer.committed)
    with capture_logs() as logs:
        chainer.start()
        write(database, 2)
        for _ in range(100):
            if all(one.position for one in entries(database)):
                break
            threading.Event().wait(0.05)
        assert [one.position for one in entries(database)] == [1, 2]
        write(database, 1)
        chainer.stop()
    assert [one.position for one in entries(database)] == [1, 2, 3]
    heads = [line for line in logs if line["event"] == "audit.head"]
    assert heads[-1]["position"] == 3
    assert heads[-1]["hash"] == entries(database)[-1].hash


def test_who_does_not_lead_chains_nothing(database: Database) -> None:
    chainer = AuditChainer(chain_of(database), lambda: False)
    database.on_audit.append(chainer.committed)
    chainer.start()
    write(database, 2)
    chainer.stop()
    assert [one.position for one in entries(database)] == [None, None]
