"""Cancel, why and workers over the API: through the client, on the real use cases and database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from environments.client import Client
from environments.domain.admission import KINDS, Lane
from environments.domain.errors import ManagedOutside, NotAllowedNow, NotFound, UnknownEnvironment
from environments.domain.lifecycle import DeploymentState, State
from environments.service.storage.deployments import WorkerRecord
from environments.wire.deployments import CancelRequest
from environments.wire.environments import CreateRequest
from tests.fakes.service import Served, served


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def client(api: Served) -> Iterator[Client]:
    """An admin's."""
    with api.client() as client:
        yield client


@pytest.fixture
def user(api: Served) -> Iterator[Client]:
    """That of somebody else, who is no admin."""
    token = api.service.tokens.create_token(api.service.admin, owner="grace").secret
    with api.client(token) as client:
        yield client


def claim(api: Served, worker: str = "w-1") -> str:
    with api.service.database.write() as tx:
        found = tx.deployments.claim(worker, 60.0, KINDS[Lane.DEPLOY], datetime.now(UTC))
    assert found is not None
    return found.deployment.id


def test_a_waiting_deployment_is_explained_and_cancelled(client: Client) -> None:
    first = client.create(CreateRequest(name="one", template="web")).deployment_id
    second = client.create(CreateRequest(name="two", template="web")).deployment_id
    assert first
    assert second
    view = client.why(second)
    assert (view.deployment_id, view.state, view.lane) == (second, DeploymentState.QUEUED, "deploy")
    assert (view.position, view.waiting) == (2, 2)
    assert view.reasons == (
        "Position 2 of 2 in the deploy lane: 1 of root's deployments goes first.",
        "No worker is alive: start one.",
    )
    cancelled = client.cancel("one", CancelRequest())
    assert (cancelled.id, cancelled.state, cancelled.cancel_requested_by) == (
        first,
        DeploymentState.CANCELLED,
        "root",
    )
    assert client.why(second).position == 1
    environment = client.environment("one")
    assert environment.state is State.FAILED
    assert environment.failure is not None
    assert environment.failure.code == "cancelled"
    with pytest.raises(NotAllowedNow):
        client.cancel("one", CancelRequest())


def test_a_running_deployment_is_asked_to_stop_and_then_forced(api: Served, client: Client) -> None:
    client.create(CreateRequest(name="one", template="web"))
    running = claim(api)
    asked = client.cancel("one", CancelRequest())
    assert (asked.id, asked.state, asked.ended_at) == (running, DeploymentState.RUNNING, None)
    assert client.cancel("one", CancelRequest()) == asked
    assert client.cancel("one", CancelRequest(force=True)).cancel_requested_at == asked.cancel_requested_at
    with api.service.database.read() as tx:
        deployment = tx.deployments.get(running)
    assert deployment is not None
    assert deployment.cancel_forced
    assert any(
        "root requested cancellation" in reason and "without grace" in reason for reason in client.why(running).reasons
    )
    messages = [event.message for event in client.history("one")]
    assert messages[-2:] == ["create: root requested cancellation", "create: root requested cancellation without grace"]


def test_what_cannot_be_cancelled(client: Client) -> None:
    with pytest.raises(UnknownEnvironment):
        client.cancel("none", CancelRequest())
    client.create(CreateRequest(name="one", template="web"))
    client.destroy("one")
    with pytest.raises(NotAllowedNow, match="a destroy can't be cancelled"):
        client.cancel("one", CancelRequest())
    view = client.environment("one").model_copy(update={"id": "env-out", "name": "out", "managed_by": "elsewhere"})
    client.mirror(view)
    with pytest.raises(ManagedOutside):
        client.cancel("out", CancelRequest())


def test_users_see_and_cancel_only_their_own(client: Client, user: Client) -> None:
    mine = client.create(CreateRequest(name="one", template="web")).deployment_id
    hers = user.create(CreateRequest(name="two", template="web")).deployment_id
    assert mine
    assert hers
    with pytest.raises(NotFound):
        user.why(mine)
    with pytest.raises(UnknownEnvironment):
        user.cancel("one", CancelRequest())
    assert user.why(hers).reasons[0] == ("Position 2 of 2 in the deploy lane: 1 of others' deployments goes first.")
    assert user.cancel("two", CancelRequest()).state is DeploymentState.CANCELLED


def test_workers_are_listed(api: Served, client: Client, user: Client) -> None:
    assert client.workers() == []
    now = datetime.now(UTC)
    with api.service.database.write() as tx:
        for name, lease in (("w-1", 60.0), ("w-0", -1.0)):
            slots = {"deploy": 4, "destroy": 2}
            tx.workers.beat(WorkerRecord(name, "rack-4", 12, "0.1.0", slots, now, now, True), lease)
    client.create(CreateRequest(name="one", template="web"))
    running = claim(api)
    found = {worker.name: worker for worker in client.workers()}
    assert {name: worker.alive for name, worker in found.items()} == {"w-1": True, "w-0": False}
    assert found["w-1"].running == (running,)
    assert (found["w-1"].host, found["w-1"].pid, found["w-1"].slots) == ("rack-4", 12, {"deploy": 4, "destroy": 2})
    assert all(worker.running == () for worker in user.workers())


def test_cancel_needs_no_body_and_takes_no_other(api: Served, client: Client) -> None:
    client.create(CreateRequest(name="one", template="web"))
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as http:
        assert http.post("/v1/environments/one/cancel", json={"now": True}).status_code == 422
        answer = http.post("/v1/environments/one/cancel")
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
