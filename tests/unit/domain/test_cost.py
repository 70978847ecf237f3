"""What an environment has cost."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from environments.domain.cost import cost, periods
from environments.domain.lifecycle import DeploymentKind as Kind
from environments.domain.lifecycle import DeploymentState as State

ZERO = datetime(2026, 1, 1, tzinfo=UTC)


class Ran(NamedTuple):
    kind: Kind
    started_at: datetime
    ended_at: datetime | None
    bundle: str = "a"
    state: State = State.SUCCEEDED


def _ran(kind: Kind, hour: float, bundle: str = "a", state: State = State.SUCCEEDED, took: float = 0) -> Ran:
    began = ZERO + timedelta(hours=hour)
    return Ran(kind, began, None if state is State.RUNNING else began + timedelta(hours=took), bundle, state)


CREATE = _ran(Kind.CREATE, 0)


@pytest.mark.parametrize(
    ("deployments", "expected"),
    [
        ([], 0),
        ([CREATE], 10),
        ([_ran(Kind.CREATE, 0, state=State.FAILED)], 10),
        ([CREATE, _ran(Kind.STOP, 2)], 2),
        ([CREATE, _ran(Kind.STOP, 2, took=1)], 3),
        ([CREATE, _ran(Kind.STOP, 2, state=State.FAILED)], 10),
        ([CREATE, _ran(Kind.STOP, 2, state=State.RUNNING)], 10),
        ([CREATE, _ran(Kind.STOP, 2), _ran(Kind.START, 6)], 6),
        ([CREATE, _ran(Kind.STOP, 2), _ran(Kind.START, 6, state=State.FAILED), _ran(Kind.STOP, 7)], 3),
        ([CREATE, _ran(Kind.STOP, 2), _ran(Kind.DESTROY, 9)], 2),
        ([CREATE, _ran(Kind.DESTROY, 9, state=State.FAILED)], 10),
        ([CREATE, _ran(Kind.UPDATE, 4, "b")], 4 + 6 * 3),
        ([CREATE, _ran(Kind.UPDATE, 4, "b"), _ran(Kind.STOP, 5, "b"), _ran(Kind.START, 8, "b")], 4 + 3 + 6),
        ([CREATE, _ran(Kind.UPDATE, 4, "unknown")], 4),
        ([_ran(Kind.CREATE, 11)], 0),
    ],
)
def test_time_while_it_runs_costs_the_price_of_its_version(deployments: list[Ran], expected: float) -> None:
    found = list(periods(deployments, ZERO + timedelta(hours=10)))
    assert cost(found, {"a": 1.0, "b": 3.0}) == pytest.approx(expected)
    assert all(one.begin < one.end for one in found)
