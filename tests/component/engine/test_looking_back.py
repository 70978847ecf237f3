"""What happened to an environment, because of which rule and on whose behalf, on both databases."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.lifecycle import DeploymentState, State
from environments.domain.timing import PastAction, Source, TimedAction
from environments.engine import progress
from environments.service.looking_back import Past, what_happened
from environments.service.time_edits import TimeEdits
from tests.component.engine.test_working_hours import FIRST, TEMPLATE, go, tick
from tests.support.engine_harness import ADMIN, DATABASES, EngineHarness, open_harness


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineHarness]:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE)
    setting.worker.start()
    go(setting, 0, 9)
    setting.create()
    assert setting.wait_for(State.READY, State.FAILED).state is State.READY
    yield setting
    setting.stop()


def past(setting: EngineHarness, count: int = 100, before: int | None = None) -> list[Past]:
    """Newest first."""
    environment = setting.environment()
    with setting.database.read() as tx:
        return list(what_happened(tx, environment, count, before))


def test_a_night_and_an_end_are_told_with_their_rules(setting: EngineHarness) -> None:
    go(setting, 0, 19)
    assert tick(setting) is State.STOPPED
    go(setting, 1, 8)
    assert tick(setting) is State.READY
    setting.requests.extend(ADMIN, "one", until=FIRST + timedelta(days=1, hours=3))
    go(setting, 1, 12)
    for _ in range(3):
        tick(setting)
    assert setting.wait_for(State.DESTROYED).state is State.DESTROYED
    found = [one for one in past(setting) if one.action is not PastAction.WARN]
    assert [one.action for one in found] == [
        PastAction.DESTROY,
        PastAction.EXTEND,
        PastAction.START,
        PastAction.STOP,
        PastAction.CREATE,
    ]
    destroy, extend, start, stop, create = found
    assert [one.by for one in found] == ["clock", ADMIN.owner, "clock", "clock", ADMIN.owner]
    assert destroy.because is not None
    assert (destroy.because.source, destroy.because.by) == (Source.PERSON, ADMIN.owner)
    assert destroy.state is DeploymentState.SUCCEEDED
    assert extend.because == destroy.because
    assert [one.because and one.because.rule for one in (start, stop)] == ["0 8 * * 1-5 UTC", "0 19 * * 1-5 UTC"]
    assert create.because is None


def test_a_persons_destroy_has_no_rule(setting: EngineHarness) -> None:
    setting.requests.destroy(ADMIN, "one", "not needed")
    setting.wait_for(State.DESTROYED)
    newest = past(setting)[0]
    assert (newest.action, newest.by, newest.reason, newest.because) == (
        PastAction.DESTROY,
        ADMIN.owner,
        "not needed",
        None,
    )


def test_edits_are_told_with_who_made_them(setting: EngineHarness) -> None:
    edits = TimeEdits(setting.database, setting.clock)
    edits.add_rule(ADMIN, "one", TimedAction.DESTROY, "0 18 * * 1-5 UTC")
    edits.pin(ADMIN, "one", "a demonstration", ttl="2h")
    edits.unpin(ADMIN, "one")
    found = [one for one in past(setting) if one.action is not PastAction.CREATE]
    assert {PastAction.RULES, PastAction.PIN, PastAction.UNPIN} <= {one.action for one in found}
    assert {one.by for one in found} == {ADMIN.owner}
    (pinned,) = [one for one in found if one.action is PastAction.PIN]
    assert "a demonstration" in pinned.reason


def test_pages_hold_everything_once_and_no_log_line(setting: EngineHarness) -> None:
    edits = TimeEdits(setting.database, setting.clock)
    for hour in range(5):
        edits.add_rule(ADMIN, "one", TimedAction.DESTROY, f"{hour} 18 * * 1-5 UTC")
    with setting.database.write() as tx:
        tx.events.add_logs([(setting.environment().id, "dep", None, setting.clock(), "a line")] * 20)
    everything = past(setting)
    paged: list[Past] = []
    while page := past(setting, 2, paged[-1].id if paged else None):
        assert len(page) <= 2
        paged += page
    assert paged == everything
    assert past(setting, 0) == []
