"""What deliveries need besides the API: writing together, and secrets that are kept in memory for seconds."""

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.errors import BackendUnavailable, DatabaseUnavailable, InvalidInput
from environments.providers.vault.webhook_secrets import OpenBaoWebhookSecrets
from environments.service.delivery_keys import KEPT_SECRETS, DeliveryKeys
from environments.service.refused_counts import MOST_WAITING, RefusedCounts
from environments.service.storage.transaction import Transaction
from environments.service.storage.webhooks import Webhook
from environments.service.together import Together
from environments.service.webhook_secrets import HeldSecrets
from environments.stores.database import Database
from tests.fakes.backends.vault import MemorySecrets
from tests.fakes.clock import MONDAY, SetClock
from tests.support.migrated import open_migrated

WEBHOOK = Webhook("shop", "github", "", (), "ada", MONDAY)
SECRETS = HeldSecrets("new", "old", MONDAY + timedelta(hours=1), "token")


class CountedSecrets(OpenBaoWebhookSecrets):
    """Counts what is read; `away`: OpenBao doesn't answer."""

    def __init__(self) -> None:
        super().__init__(MemorySecrets())
        self.reads = 0
        self.away = False

    def read(self, webhook: Webhook) -> HeldSecrets | None:
        self.reads += 1
        if self.away:
            raise BackendUnavailable("OpenBao is away.")
        return super().read(webhook)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_migrated(tmp_path)
    yield opened
    opened.close()


class Keys:
    """Keys of deliveries with a clock that a test moves."""

    def __init__(self, database: Database) -> None:
        self.at = 0.0
        self.held = CountedSecrets()
        self.held.write(WEBHOOK, SECRETS)
        with database.write() as tx:
            tx.webhooks.add(WEBHOOK)
        self.keys = DeliveryKeys(database, self.held, lambda: self.at)


def test_secrets_are_read_once_in_half_a_minute(database: Database) -> None:
    given = Keys(database)
    for _ in range(100):
        found = given.keys.find("shop")
        assert found is not None
        assert found.secrets == SECRETS
        given.at += 0.1
    assert given.held.reads == 1
    given.at += KEPT_SECRETS
    given.keys.find("shop")
    assert given.held.reads == 2


def test_a_rotation_elsewhere_is_seen_within_a_second(database: Database) -> None:
    given = Keys(database)
    given.keys.find("shop")
    given.held.write(WEBHOOK, HeldSecrets("newest", "new", MONDAY + timedelta(hours=1)))
    with database.write() as tx:
        tx.webhooks.change("shop", rotated_at=MONDAY + timedelta(minutes=1))
    given.at += 0.3
    found = given.keys.find("shop", again=True)
    assert found is not None
    assert found.secrets is not None
    assert found.secrets.secret == "newest"


def test_floods_for_names_that_there_are_not_ask_the_database_once_in_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Keys(database)
    reads: list[int] = []
    read = database.read

    def counted() -> object:
        reads.append(1)
        return read()

    monkeypatch.setattr(database, "read", counted)
    for number in range(1000):
        assert given.keys.find(f"name-{number}") is None
        assert given.keys.find(f"name-{number}", again=True) is None
    assert len(reads) == 1
    assert given.held.reads == 0


def test_while_openbao_is_away_it_is_asked_once_a_second(database: Database) -> None:
    given = Keys(database)
    given.held.away = True
    for _ in range(50):
        with pytest.raises(BackendUnavailable):
            given.keys.find("shop")
    assert given.held.reads == 1
    given.held.away = False
    given.at += 1.0
    assert given.keys.find("shop") is not None


def test_while_the_database_is_away_it_is_asked_once_a_second(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Keys(database)
    tries: list[int] = []

    def away() -> None:
        tries.append(1)
        raise DatabaseUnavailable("It is away.")

    with monkeypatch.context() as broken:
        broken.setattr(database, "read", away)
        for _ in range(50):
            with pytest.raises(DatabaseUnavailable):
                given.keys.find("shop")
    assert len(tries) == 1
    given.at += 1.0
    assert given.keys.find("shop") is not None


def test_two_secrets_are_valid_until_the_moment(database: Database) -> None:
    assert SECRETS.valid(MONDAY) == ("new", "old")
    assert SECRETS.valid(MONDAY + timedelta(hours=1)) == ("new",)
    assert "new" not in repr(SECRETS)
    assert "token" not in repr(SECRETS).replace("token=", "")


def test_what_many_threads_bring_is_written_in_few_transactions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, began, transactions = threading.Event(), threading.Event(), []

    def work(tx: Transaction, numbers: Sequence[int]) -> Sequence[int]:
        for number in numbers:
            if number == -1:
                began.set()
                assert first.wait(60)
            elif number == 7:
                raise InvalidInput("seven")
            else:
                tx.received.count_refused("", f"reason-{number}", "", MONDAY)
        return numbers

    together = Together(database, work)
    write = database.write

    def counted() -> object:
        transactions.append(1)
        return write()

    monkeypatch.setattr(database, "write", counted)
    results: dict[int, int] = {}
    errors: list[str] = []

    def bring(number: int) -> None:
        try:
            results[number] = together.write(number)
        except InvalidInput as error:
            errors.append(error.message)

    leader = threading.Thread(target=lambda: together.write(-1))
    leader.start()
    assert began.wait(60)
    threads = [threading.Thread(target=bring, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(6000):
        if len(together._waiting) == 20:
            break
        threading.Event().wait(0.01)
    first.set()
    for thread in (leader, *threads):
        thread.join(60)
    assert results == {number: number for number in range(20) if number != 7}
    assert errors == ["seven"]
    assert len(transactions) == 1 + 1 + 20, "one together, and after the error each for itself"
    with database.read() as tx:
        assert {one.reason: one.count for one in tx.received.refused("")} == {
            f"reason-{number}": 1 for number in range(20) if number != 7
        }


def test_a_flood_of_refusals_makes_one_row_for_each_reason(database: Database) -> None:
    clock = SetClock()
    counts = RefusedCounts(database, clock)
    for number in range(5000):
        counts.note("", "unknown_name", f"192.0.2.{number % 250}")
    for number in range(MOST_WAITING + 500):
        counts.note(f"name-{number}", "unsigned", "192.0.2.1")
    counts.write()
    with database.read() as tx:
        found = tx.received.refused(None, limit=10_000)
    assert len(found) <= MOST_WAITING
    assert next(one.count for one in found if one.webhook == "") == 5000


def test_counts_that_could_not_be_written_are_kept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = RefusedCounts(database, SetClock())
    counts.note("", "unsigned", "192.0.2.1")
    with monkeypatch.context() as broken:
        broken.setattr(database, "write", lambda: (_ for _ in ()).throw(BackendUnavailable("away")))
        with pytest.raises(BackendUnavailable):
            counts.write()
    counts.note("", "unsigned", "192.0.2.2")
    counts.write()
    with database.read() as tx:
        (one,) = tx.received.refused("")
    assert (one.count, one.last_address) == (2, "192.0.2.2")
