"""What `doit status` says of a deployment, over the API in this process."""

from datetime import UTC, datetime
from typing import Any

import pytest

from environments.wire.deployments import WorkerView
from jobs import status
from tests.support.in_process.client import InProcessClient
from tests.support.views import environment_view


def worker(name: str, *, alive: bool) -> WorkerView:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    return WorkerView(
        name=name, host=name, pid=1, version="1.0", started_at=now, seen_at=now, alive=alive, slots={"deploy": 8}
    )


@pytest.mark.parametrize(
    ("parameters", "alive", "says"),
    [
        ({"workers": 2}, (True, True, True), "✓ 3 of 3 alive"),
        ({"workers": 2}, (True, False, True), "✗ 2 of 3 alive"),
        ({}, (True,), "✓ 1 of 1 alive"),
        (None, (True, False), "✓ 1 of 1 alive"),
        (None, (False,), "✗ 0 of 1 alive"),
    ],
)
def test_status_counts_living_workers_against_those_that_were_asked_for(
    parameters: dict[str, Any] | None, alive: tuple[bool, ...], says: str
) -> None:
    client = InProcessClient()
    if parameters is not None:
        client = InProcessClient(environment_view("meta", parameters=parameters))
    client.worker_views = [worker(f"w{number}", alive=lives) for number, lives in enumerate(alive)]
    assert status._workers(client) == status.Line("workers", says, "1.0" if any(alive) else "")
