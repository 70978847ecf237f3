"""The last deadline there is, in an environment."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.errors import InvalidLifetime
from environments.domain.lifecycle import State
from tests.support.engine_harness import ADMIN, TEMPLATE, EngineHarness

LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[EngineHarness]:
    setting = EngineHarness(tmp_path / "data")
    setting.push(TEMPLATE)
    yield setting
    setting.database.close()


def test_an_environment_with_the_last_deadline_there_is_can_be_read_and_moved(setting: EngineHarness) -> None:
    """One that an older version took."""
    setting.requests.create(ADMIN, CreateEnvironment(name="one", template="things", parameters={"code": "swordfish"}))
    environment = setting.environment("one")
    with setting.database.write() as tx:
        tx.environments.change(environment.id, deadline=LAST, maximum_deadline=None)
    assert setting.environment("one").deadline == LAST
    setting.scheduler.tick()
    for asked in ({"by": "3660d"}, {"until": LAST}):
        with pytest.raises(InvalidLifetime):
            setting.requests.extend(ADMIN, "one", **asked)
    for text in ("99999999999w", "1d" * 20 + "99999999999w", "0s", "9" * 100_000 + "d"):
        with pytest.raises(InvalidLifetime) as refused:
            setting.requests.extend(ADMIN, "one", ttl=text)
        assert len(refused.value.message) < 400
    moved = setting.requests.extend(ADMIN, "one", ttl="2h")
    assert moved.deadline is not None
    assert moved.deadline < LAST
    assert setting.environment("one").state is State.REQUESTED
