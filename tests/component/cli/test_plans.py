"""The command line of plans, drift, cancelling, giving up, the queue and workers; over the fake client."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from environments.cli.program import run
from environments.domain.environment import EventType
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.wire.deployments import CancelRequest, DeploymentView
from tests.fakes.client import NOW, FakeClient, environment_view


@dataclass
class Commands:
    """Runs commands over a fake client."""

    client: FakeClient
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """Standard output and standard error of a command that ends with `status`."""
        self.capture.readouterr()
        ended = run(arguments)
        out, err = self.capture.readouterr()
        assert ended == status, err
        return out, err


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    client = FakeClient(
        environment_view("demo", last_good="dep-0"),
        environment_view("stuck", State.DESTROY_FAILED),
        environment_view("busy", State.UPDATING, deployment=deployment(DeploymentState.QUEUED)),
    )
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path))
    monkeypatch.setenv("CALVINVERSE_ADDRESS", client.address)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.setattr("environments.client.connect", lambda _: client)
    return Commands(client, capsys)


def deployment(state: DeploymentState, **changes: Any) -> DeploymentView:
    values: dict[str, Any] = {
        "id": "dep-1",
        "kind": DeploymentKind.UPDATE,
        "state": state,
        "reason": "updated",
        "requested_by": "ada",
        "requested_at": NOW,
    }
    return DeploymentView(**{**values, **changes})


def test_a_saved_plan_is_applied_and_followed(cli: Commands) -> None:
    cli("env", "repair", "demo", "--plan")
    engine = threading.Thread(target=finish, args=(cli.client, "demo"))
    engine.start()
    out, err = cli("plan", "apply", "plan-1")
    engine.join()
    assert "● ready" in out
    assert err.endswith("demo is ready. Next: `calvinverse env outputs demo`.\n")
    assert ("apply_plan", "plan-1") in cli.client.calls


def finish(
    client: FakeClient,
    name: str,
    outcome: DeploymentState = DeploymentState.SUCCEEDED,
    state: State = State.READY,
) -> None:
    """What an engine does once it was asked."""
    end = time.monotonic() + 10
    while not any(not stream.closed for stream in client.streams):
        assert time.monotonic() < end
        time.sleep(0.01)
    view = client.views[name]
    assert view.deployment is not None
    done = view.deployment.model_copy(update={"state": outcome})
    client.put(view.model_copy(update={"state": state, "deployment": done}))
    client.tell(EventType.DEPLOYMENT_STATE, name, deployment_id=done.id, data={"state": outcome.value})


def test_cancel_waits_until_it_has_stopped_and_says_what_can_be_done_then(cli: Commands) -> None:
    cli.client.put(environment_view("busy", State.UPDATING, deployment=deployment(DeploymentState.RUNNING)))
    engine = threading.Thread(target=finish, args=(cli.client, "busy", DeploymentState.CANCELLED, State.FAILED))
    engine.start()
    out, err = cli("env", "cancel", "busy")
    engine.join()
    assert "✗ failed" in out
    assert "`calvinverse env cancel busy --force` stops them at once." in err
    assert "The update of busy was cancelled. Next: `calvinverse env retry busy`" in err
    _, err = cli("env", "cancel", "busy", status=4)
    assert "No deployment of environment 'env-busy' is queued or running." in err
    assert ("cancel", "env-busy", CancelRequest(force=False)) in cli.client.calls


def test_what_was_cancelled_before_it_began_leaves_the_environment_as_it_was(cli: Commands) -> None:
    waiting = deployment(DeploymentState.QUEUED)
    cli.client.put(environment_view("busy", deployment=waiting))
    engine = threading.Thread(target=finish, args=(cli.client, "busy", DeploymentState.CANCELLED, State.READY))
    engine.start()
    _, err = cli("env", "cancel", "busy")
    engine.join()
    assert "The update was cancelled before it began. busy is ready." in err
