"""The command line of plans, drift, cancelling and abandoning, the queue and workers; over the API in this process."""

import io
import json
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.cli.program import run
from environments.domain.environment import Drift, EventType, Incident, Unexpected
from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, State
from environments.domain.plan import StepPlan
from environments.wire.deployments import CancelRequest, DeploymentView, PendingView, WorkerView
from environments.wire.environments import AbandonRequest, ResourceView, RollbackRequest
from environments.wire.plans import PlanRequest
from tests.fakes.plans import NOW, plan_steps
from tests.support.in_process.client import InProcessClient
from tests.support.views import BUNDLE, environment_id, environment_view


@dataclass
class Commands:
    """Runs commands over the real API in this process."""

    client: InProcessClient
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
    client = InProcessClient(
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


def test_a_plan_shows_each_thing_with_what_becomes_of_it(cli: Commands) -> None:
    out, err = cli("env", "update", "demo", "-p", "message=Good morning", "--plan")
    assert out == (
        "plan      plan-1\n"
        "does      update demo\n"
        f"template  web 1  {BUNDLE.digest}\n"
        "made      2026-11-23 10:00:00 CET by ada\n"
        "\n"
        "settings  consul.kv\n"
        "  ~ change   consul.kv  environments/checkout-fix/message\n"
        "      value: Hello → Good morning\n"
        "  + create   consul.kv  environments/checkout-fix/limit\n"
        "\n"
        "disk      opentofu.module\n"
        "  ± replace  opentofu.resource  restapi_object.disk\n"
        "      size: 10 → 20 (can't be changed in place)\n"
        "\n"
        "app       nomad.job\n"
        "  ~ change   nomad.job  web\n"
        "      group web, count: 1 → 3\n"
        "      variable replicas\n"
        "\n"
        "token     vault.secret  (no longer in the template)\n"
        "  - destroy  vault.secret  environments/checkout-fix/token\n"
        "\n"
        "unchanged: certificate\n"
        "will be checked: answers\n"
        "\n"
        "1 to create, 2 to change, 1 to replace, 1 to destroy.\n"
    )
    assert err.endswith("  calvinverse plan apply plan-1\n")
    assert "until 2026-11-24 10:00:00 CET" in err
    assert not [call for call in cli.client.calls if call[0] == "update"]


def test_every_change_can_be_planned_instead_of_done(cli: Commands) -> None:
    cli("env", "create", "fresh", "-t", "web", "-p", "branch=main", "--ttl", "2h", "--plan")
    cli("env", "repair", "demo", "--plan")
    cli("env", "rollback", "demo", "--plan")
    cli.client.put_past_deployment("demo", "dep-7")
    cli("env", "rollback", "demo", "--to", "dep-7", "--plan")
    cli("env", "destroy", "demo", "--plan")
    asked = [call[1:] for call in cli.client.calls if call[0] == "plan"]
    create = PlanRequest(
        kind=DeploymentKind.CREATE, template="web", digest=None, parameters={"branch": "main"}, ttl="2h", until=None
    )
    assert asked == [
        ("fresh", create),
        ("demo", PlanRequest(kind=DeploymentKind.REPAIR)),
        ("demo", PlanRequest(kind=DeploymentKind.UPDATE, rollback_to="last-good")),
        ("demo", PlanRequest(kind=DeploymentKind.UPDATE, rollback_to="dep-7")),
        ("demo", PlanRequest(kind=DeploymentKind.DESTROY)),
    ]
    changing = {"create", "update", "repair", "rollback", "destroy", "apply_plan"}
    assert not changing & {call[0] for call in cli.client.calls}


def test_a_plan_is_data_for_machines_and_says_when_there_is_nothing_to_do(cli: Commands) -> None:
    cli.client.plan_steps = (StepPlan(step="settings", uses="consul.kv"),)
    out, _ = cli("env", "repair", "demo", "--plan", "-o", "json")
    assert json.loads(out)["steps"][0]["step"] == "settings"
    out, err = cli("plan", "show", "plan-1")
    assert out.endswith("unchanged: settings\n\nNothing to do.\n")
    assert err == "demo is as its steps made it: there is nothing to repair.\n"
    _, err = cli("plan", "show", "plan-9", status=3)
    assert "[unknown_plan]" in err


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
    client: InProcessClient,
    name: str,
    outcome: DeploymentState = DeploymentState.SUCCEEDED,
    state: State = State.READY,
) -> None:
    """What an engine does once it was asked."""
    end = time.monotonic() + 120
    while not any(not stream.closed for stream in client.streams):
        assert time.monotonic() < end
        time.sleep(0.01)
    view = client.views[name]
    assert view.deployment is not None
    done = view.deployment.model_copy(update={"state": outcome})
    client.put(view.model_copy(update={"state": state, "deployment": done}))
    client.tell(EventType.DEPLOYMENT_STATE, name, deployment_id=done.id, data={"state": outcome.value})


def test_a_stale_plan_is_refused_with_what_moved(cli: Commands) -> None:
    cli("env", "repair", "demo", "--plan")
    cli.client.moved = ["the job web was changed by somebody"]
    _, err = cli("plan", "apply", "plan-1", status=4)
    assert "[plan_stale]" in err
    assert err.count("the job web was changed by somebody") == 1
    assert "Make a new plan" in err


def test_what_moved_is_listed_when_the_message_does_not_say_it(cli: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    from environments.domain.errors import PlanStale

    def refuse(*_: object, **__: object) -> None:
        raise PlanStale("It doesn't fit.", details={"moved": ["deployment dep-9 ran", "app: count"]})

    cli("env", "repair", "demo", "--plan")
    monkeypatch.setattr(InProcessClient, "apply_plan", refuse)
    _, err = cli("plan", "apply", "plan-1", status=4)
    assert err.splitlines()[1:3] == ["moved: deployment dep-9 ran", "moved: app: count"]


def test_a_plan_that_destroys_asks_for_the_name(cli: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("env", "destroy", "demo", "--plan")
    monkeypatch.setattr(sys, "stdin", io.StringIO("demo\n"))
    _, err = cli("plan", "apply", "plan-1", status=2)
    assert "`calvinverse plan apply plan-1 --yes`" in err
    out, _ = cli("plan", "apply", "plan-1", "--yes", "--no-wait")
    assert "▼ destroying" in out


def test_repair_and_rollback_are_asked_for(cli: Commands) -> None:
    out, err = cli("env", "repair", "demo", "--no-wait")
    assert "◒ updating" in out
    assert "calvinverse env watch demo" in err
    cli.client.put(environment_view("demo", State.FAILED, last_good="dep-0"))
    cli("env", "rollback", "demo", "--to", "dep-0", "--no-wait")
    assert ("rollback", "demo", RollbackRequest(deployment="dep-0")) in cli.client.calls


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
    assert "No deployment of environment 'busy' is queued or running: it is failed." in err
    assert ("cancel", environment_id("busy"), CancelRequest(force=False)) in cli.client.calls


def test_what_was_cancelled_before_it_began_leaves_the_environment_as_it_was(cli: Commands) -> None:
    waiting = deployment(DeploymentState.QUEUED)
    cli.client.put(environment_view("busy", deployment=waiting))
    engine = threading.Thread(target=finish, args=(cli.client, "busy", DeploymentState.CANCELLED, State.READY))
    engine.start()
    _, err = cli("env", "cancel", "busy")
    engine.join()
    assert "The update was cancelled before it began. busy is ready." in err


def test_who_waits_for_a_cancelled_deployment_is_told(cli: Commands) -> None:
    gone = deployment(DeploymentState.CANCELLED, cancel_requested_at=NOW, cancel_requested_by="grace")
    cli.client.put(environment_view("busy", State.FAILED, deployment=gone))
    _, err = cli("env", "watch", "busy", status=11)
    assert "The deployment was cancelled by grace.  [cancelled]" in err


def test_abandon_lists_what_is_given_up_and_wants_the_name_and_a_reason(
    cli: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resource(address: str, status: ResourceStatus) -> ResourceView:
        return ResourceView(
            kind="nomad.job",
            address=address,
            step="app",
            status=status,
            detail="Nomad has no leader" if status is ResourceStatus.STUCK else "",
            created_at=NOW,
            updated_at=NOW,
        )

    cli.client.inventory["stuck"] = [resource("web", ResourceStatus.STUCK), resource("old", ResourceStatus.GONE)]
    _, err = cli("env", "abandon", "stuck", status=2)
    assert "--reason" in err
    _, err = cli("env", "abandon", "stuck", "--reason", " ", "--yes", status=2)
    assert "A reason is needed" in err
    _, err = cli("env", "abandon", "demo", "--reason", "why not", "--yes", status=4)
    assert "demo is ready: abandon isn't possible now." in err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("stick\n"))
    cli("env", "abandon", "stuck", "--reason", "scrapped", status=2)
    assert cli.client.views["stuck"].state is State.DESTROY_FAILED
    monkeypatch.setattr(sys, "stdin", Terminal("stuck\n"))
    out, err = cli("env", "abandon", "stuck", "--reason", "scrapped")
    assert "∅ abandoned" in out
    assert "⊗ stuck  nomad.job  web      app   Nomad has no leader" in err
    assert "old" not in err
    assert ("abandon", environment_id("stuck"), AbandonRequest(reason="scrapped")) in cli.client.calls


def test_drift_says_what_differs_what_is_unexpected_and_what_to_do(cli: Commands) -> None:
    out, err = cli("env", "drift", "demo")
    assert out == "observed  never since its last deployment\n"
    assert err == "Next: `calvinverse env drift demo --observe` observes it now.\n"
    cli.client.now = datetime.now(UTC) - timedelta(minutes=3, seconds=30)
    cli.client.observed["demo"] = Drift(
        observed_at=NOW,
        steps=plan_steps()[:2],
        unexpected=(Unexpected(kind="nomad.job", address="stranger", detail="running"),),
        troubles={"token": "OpenBao is sealed."},
    )
    out, err = cli("env", "drift", "demo", "--observe")
    lines = out.splitlines()
    assert lines[0].startswith("observed  ")
    assert lines[0].endswith(", 3m ago")
    assert lines[2:6] == [
        "Differences, as a repair would put them right",
        "  settings  consul.kv",
        "    ~ change   consul.kv  environments/checkout-fix/message",
        "        value: Hello → Good morning",
    ]
    assert "  nomad.job  stranger  running" in lines
    assert lines[-2:] == ["Could not be observed", "  token  OpenBao is sealed."]
    assert err.endswith("demo has drifted: 1 to create, 1 to change. Next: `calvinverse env repair demo --plan`.\n")
    assert "≠ drifted" in cli("env", "list")[0]
    assert "calvinverse env drift demo" in cli("env", "show", "demo")[0]


def test_drift_without_differences(cli: Commands) -> None:
    cli.client.observed["demo"] = Drift(observed_at=NOW, steps=(StepPlan(step="a", uses="consul.kv"),))
    assert cli("env", "drift", "demo")[1] == "demo is as its steps made it.\n"
    cli.client.observed["demo"] = Drift(observed_at=NOW, unexpected=(Unexpected(kind="consul.kv", address="x"),))
    assert "there is more" in cli("env", "drift", "demo")[1]
    cli.client.observed["demo"] = Drift(observed_at=NOW, troubles={"app": "Nomad is away."})
    assert "not everything could be observed" in cli("env", "drift", "demo")[1]


def test_what_was_done_from_outside_is_told_though_nothing_differs(cli: Commands) -> None:
    incident = Incident(at=NOW, kind="nomad.job", address="demo/web", detail="its container was killed.")
    cli.client.observed["demo"] = Drift(observed_at=NOW, incidents=(incident,))
    out, err = cli("env", "drift", "demo")
    assert out.splitlines()[-2] == "Done to it from outside since its last deployment"
    assert out.splitlines()[-1].endswith("demo/web, its container was killed.")
    assert err == "demo is as its steps made it.\n"


def test_why_names_the_place_in_the_queue_and_the_reasons(cli: Commands) -> None:
    cli.client.pending["dep-1"] = PendingView(
        deployment_id="dep-1",
        state=DeploymentState.QUEUED,
        lane="deploy",
        position=2,
        waiting=5,
        reasons=("All 8 slots of the lane are taken.", "Before it: dep-0 of grace."),
    )
    out, err = cli("env", "why", "busy")
    assert out.splitlines() == [
        "deployment  dep-1",
        "state       ◌ queued",
        "lane        deploy",
        "place       2 of 5",
        "why         All 8 slots of the lane are taken.",
        "            Before it: dep-0 of grace.",
    ]
    assert "calvinverse worker list" in err
    assert cli("env", "why", "demo")[0] == "No deployment of demo is queued or running.\n"
    assert json.loads(cli("env", "why", "demo", "-o", "json")[0]) is None


def test_history_names_plans_and_the_last_good_deployment(cli: Commands) -> None:
    done = deployment(
        DeploymentState.SUCCEEDED,
        plan_id="plan-3",
        started_at=NOW,
        ended_at=NOW + timedelta(seconds=4),
    )
    cli.client.put(environment_view("demo", last_good="dep-1", deployment=done))
    _, row = cli("env", "history", "demo")[0].splitlines()
    assert row.split(maxsplit=1)[0] == "dep-1"
    assert "✓ succeeded, last good  2026-11-23 10:00:00 CET  4.0s  ada  plan-3  updated" in row


def test_a_cancel_in_progress_is_shown(cli: Commands) -> None:
    asked = deployment(DeploymentState.RUNNING, cancel_requested_at=NOW, cancel_requested_by="grace")
    cli.client.put(environment_view("busy", State.UPDATING, deployment=asked))
    assert "cancel    requested by grace" in cli("env", "show", "busy")[0]
    assert "◐ running, being cancelled" in cli("env", "history", "busy")[0]


def test_workers_are_alive_or_lost(cli: Commands) -> None:
    assert "No worker is alive" in cli("worker", "list")[1]
    now = datetime.now(UTC)

    def worker(name: str, alive: bool) -> WorkerView:
        return WorkerView(
            name=name,
            host="node-1",
            pid=42,
            version="0.1.0",
            started_at=now - timedelta(hours=3),
            seen_at=now - timedelta(seconds=2),
            alive=alive,
            slots={"deploy": 8, "destroy": 4},
            running=("dep-1",) if alive else (),
        )

    cli.client.worker_views = [worker("w-a", True), worker("w-b", False)]
    out, err = cli("worker", "list")
    first, second = out.splitlines()[1:]
    assert first.startswith("w-a     ● alive  node-1  42")
    assert "deploy 8, destroy 4  dep-1" in first
    assert "✗ lost" in second
    assert err == ""
    assert json.loads(cli("worker", "list", "-o", "json")[0])[0]["name"] == "w-a"
