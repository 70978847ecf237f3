"""What `doit status` says of a deployment, over the API in this process."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from environments.context import Context, write_context
from environments.wire.deployments import WorkerView
from images.machine import Listener
from jobs import status
from jobs.places import Places
from tests.support.authorities import DAY, make_authority
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


def test_a_web_page_that_is_down_is_told_with_its_address(tmp_path: Path) -> None:
    """`doctor` gets its port from this line."""
    where = Places(tmp_path)
    assert status._web_page(where) == []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can
        port = probe.getsockname()[1]
        write_context(tmp_path, Context(page_port=port))
        unreadable = status._web_page(where)
        where.authority.write_text(make_authority(ends=DAY).pem)
        (line,) = status._web_page(where)
    assert "can't be asked" in unreadable[0].health
    assert line == status.Line("web page", "✗ doesn't answer", "", f"https://127.0.0.1:{port}")
    assert status._listener(where, line) == Listener("the web page", port, ours=False, address=line.address)
