"""Changes of keys in Consul: also those that nobody watched, and only of keys that a trigger may hear of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.lifecycle import State
from environments.domain.received_event import Source
from environments.engine.event_sources import consul_keys
from environments.engine.event_sources.consul_keys import MOST_QUERIES, KeyEvents
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, open_harness
from tests.support.source_harness import SourceHarness

KEY = "environments/one/flag"


@pytest.fixture(params=DATABASES)
def harness(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceHarness]:
    monkeypatch.setattr(consul_keys, "_EVERY", 0.1)
    engine = open_harness(request, tmp_path)
    engine.push(TEMPLATE)
    engine.worker.start()
    harness = SourceHarness(engine)
    harness.ready("one")
    yield harness
    harness.stop()
    engine.stop()


def _watched(harness: SourceHarness, count: int = 1) -> dict[str, str]:
    """What is known of each prefix, once so many are watched."""

    def stored() -> dict[str, str]:
        with harness.engine.database.read() as tx:
            return tx.cursors.all("consul.key")

    harness.engine.until(lambda: len(stored()) == count)
    return stored()


def test_changes_and_deletions_are_told_and_what_was_there_before_is_not(harness: SourceHarness) -> None:
    harness.keys.put(KEY, "old")
    harness.trigger(environment="one", on="consul.key")
    harness.start(KeyEvents)
    _watched(harness)
    assert harness.received(Source.KEY) == []
    harness.keys.put(KEY, "new")
    (changed,) = harness.waits_for(Source.KEY, 1)
    assert (changed.kind, changed.subject, changed.fields["value"]) == ("changed", KEY, "new")
    assert changed.environment_id == harness.engine.environment().id
    harness.keys.delete(KEY)
    assert harness.waits_for(Source.KEY, 2)[1].kind == "deleted"
    harness.keys.put(KEY, "new")
    assert harness.waits_for(Source.KEY, 3)[2].kind == "changed"


def test_what_changed_while_nobody_watched_is_found_once(harness: SourceHarness) -> None:
    harness.keys.put(KEY, "old")
    harness.keys.put("environments/one/other", "stays")
    harness.trigger(environment="one", on="consul.key")
    harness.start(KeyEvents)
    _watched(harness)
    harness.stop()
    harness.keys.put(KEY, "new")
    for _ in range(2):
        harness.start(KeyEvents)
        (event,) = harness.waits_for(Source.KEY, 1)
        assert event.subject == KEY
        harness.stop()


def test_a_lost_index_is_no_change(harness: SourceHarness) -> None:
    harness.keys.put(KEY, "old")
    harness.trigger(environment="one", on="consul.key")
    harness.start(KeyEvents)
    _watched(harness)
    harness.keys.lose_index()
    harness.keys.put("environments/one/other", "new")
    (event,) = harness.waits_for(Source.KEY, 1)
    assert event.subject == "environments/one/other"


def test_what_steps_write_is_not_told(harness: SourceHarness) -> None:
    harness.trigger(environment="one", on="consul.key")
    harness.start(KeyEvents)
    _watched(harness)
    harness.keys.put("environments/one/written", "by a step", flags=7)
    harness.keys.put(KEY, "by a person")
    (event,) = harness.waits_for(Source.KEY, 1)
    assert event.subject == KEY
    harness.keys.delete("environments/one/written")
    harness.keys.put(KEY, "again")
    assert {event.subject for event in harness.waits_for(Source.KEY, 2)} == {KEY}


def test_a_chain_of_triggers_goes_on_through_a_key_that_changes_during_a_deployment(harness: SourceHarness) -> None:
    harness.trigger(environment="one", on="consul.key")
    harness.start(KeyEvents)
    _watched(harness)
    harness.fired("one", hops=4)
    harness.keys.put(KEY, "by a module")
    (event,) = harness.waits_for(Source.KEY, 1)
    assert event.hops == 4


def test_only_admins_watch_what_is_no_environments(harness: SourceHarness) -> None:
    harness.ready("two")
    harness.admin("ada")
    everywhere = {"key": {"matches": "config/*/release"}}
    harness.trigger(owner="grace", environment="one", on="consul.key", when={"key": "config/shop/release"})
    harness.trigger(owner="grace", name="alone", on="consul.key", when=everywhere)
    harness.trigger(owner="ada", name="alone", on="consul.key", when=everywhere)
    harness.start(KeyEvents)
    assert set(_watched(harness, 2)) == {"environments/one/", "config/"}
    harness.keys.put("environments/two/flag", "not watched")
    harness.keys.put("config/shop/release", "2")
    (event,) = harness.waits_for(Source.KEY, 1)
    assert (event.subject, event.environment_id) == ("config/shop/release", None)


def test_an_environment_that_is_destroyed_tells_nothing_and_its_prefix_is_forgotten(harness: SourceHarness) -> None:
    harness.keys.put(KEY, "old")
    harness.trigger(environment="one", on="consul.key")
    harness.start(KeyEvents)
    _watched(harness)
    harness.engine.requests.destroy(ADMIN, "one")
    harness.engine.wait_for(State.DESTROYED)
    harness.keys.delete(KEY)
    _watched(harness, 0)
    assert harness.received(Source.KEY) == []


def test_more_prefixes_than_queries_are_all_watched(harness: SourceHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consul_keys, "_SHORT_WAIT", 0.05)
    harness.admin("ada")
    prefixes = [f"config/{number}/" for number in range(MOST_QUERIES * 2)]
    for number, prefix in enumerate(prefixes):
        harness.trigger(name=f"t{number}", on="consul.key", when={"key": {"starts_with": prefix}})
    harness.start(KeyEvents)
    _watched(harness, len(prefixes))
    for prefix in prefixes:
        harness.keys.put(f"{prefix}flag", "new")
    harness.waits_for(Source.KEY, len(prefixes))
    assert harness.keys.most <= MOST_QUERIES
