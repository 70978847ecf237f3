"""Log lines of steps: written in order, and not by a worker that has lost the deployment."""

from pathlib import Path

import pytest

from environments.domain.environment import EventType
from environments.domain.errors import DatabaseUnavailable
from environments.domain.lifecycle import DeploymentKind
from environments.engine.logs import LogWriter
from tests.support.engine_harness import TEMPLATE, EngineHarness


def claim(setting: EngineHarness, worker: str, lease: float) -> tuple[str, str]:
    """Environment and deployment that the worker holds now."""
    with setting.database.write() as tx:
        taken = tx.deployments.claim(worker, lease, tuple(DeploymentKind), setting.clock())
    assert taken is not None
    return taken.environment.id, taken.deployment.id


def lines(setting: EngineHarness) -> list[str]:
    with setting.database.read() as tx:
        found = tx.events.after(0, environment_id=None, limit=100)
    return [event.message for event in found if event.type is EventType.LOG]


@pytest.fixture
def setting(tmp_path: Path) -> EngineHarness:
    setting = EngineHarness(tmp_path)
    setting.push(TEMPLATE)
    setting.create(parameters={"code": "swordfish"})
    return setting


def test_who_was_paused_lets_its_lines_go(setting: EngineHarness) -> None:
    first, second = (LogWriter(setting.database, setting.clock, name) for name in ("first", "second"))
    held = claim(setting, "first", lease=-1.0)
    first.add(*held, "left", "in time")
    first.flush()
    first.add(*held, "left", "written down too late")
    assert claim(setting, "second", lease=30.0) == held
    second.add(*held, "left", "goes on")
    second.flush()
    first.flush()
    second.add(*held, "left", "done")
    second.flush()
    assert lines(setting) == ["in time", "goes on", "done"]
    setting.database.close()


def test_lines_stay_while_the_database_is_away(setting: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = LogWriter(setting.database, setting.clock, "first")
    held = claim(setting, "first", lease=30.0)
    writer.add(*held, "left", "one")

    def away() -> None:
        raise DatabaseUnavailable("It is away.")

    with monkeypatch.context() as patched:
        patched.setattr(setting.database, "write", away)
        with pytest.raises(DatabaseUnavailable):
            writer.flush()
    writer.add(*held, "left", "two")
    writer.flush()
    assert lines(setting) == ["one", "two"]
    setting.database.close()
