"""Situations that the TUI is shown in: environments in every state, all at a fixed time."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from environments.domain.environment import Drift, EventType, Failure, Unexpected
from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, State, StepState
from environments.domain.references import MASK
from environments.wire.deployments import DeploymentView, StepView
from environments.wire.environments import EnvironmentView, OutputView, ResourceView
from tests.fakes.plans import NOW, plan_steps
from tests.support.in_process.client import InProcessClient
from tests.support.views import environment_view
from tui.app import CalvinverseApp
from tui.clock import Clock

ZONE = ZoneInfo("Europe/Berlin")
URL = "https://127.0.0.1:23817/"
FAILURE = Failure(
    code="step_failed",
    message="The job shop--web isn't healthy: the task exited with 1.",
    hint="See `calvinverse env logs shop`, fix the cause, then retry.",
    step="app",
)


def clock(now: datetime = NOW) -> Clock:
    """A clock that stands still."""
    return Clock(now=lambda: now, zone=ZONE)


def make_app(client: InProcessClient, at: Clock | None = None) -> CalvinverseApp:
    """The TUI with nothing in it that differs from run to run."""
    return CalvinverseApp(lambda: client, clock=at or clock(), make_key=lambda: "key-1", where="meta", animate=False)


def _step(name: str, uses: str, state: StepState, started: float | None = None, took: float | None = None) -> StepView:
    begun = None if started is None else NOW + timedelta(seconds=started)
    ended = None if begun is None or took is None else begun + timedelta(seconds=took)
    return StepView(
        name=name, uses=uses, state=state, attempts=0 if begun is None else 1, started_at=begun, ended_at=ended
    )


def _deployment(kind: DeploymentKind, state: DeploymentState, *steps: StepView, id: str) -> DeploymentView:
    return DeploymentView(
        id=id,
        kind=kind,
        state=state,
        reason="asked by a person",
        requested_by="ada",
        requested_at=NOW - timedelta(seconds=5),
        started_at=NOW - timedelta(seconds=5),
        steps=steps,
    )


def ready() -> EnvironmentView:
    """An environment that can be used."""
    return environment_view(
        "checkout-fix",
        State.READY,
        created_at=NOW - timedelta(hours=2, minutes=5),
        state_since=NOW - timedelta(hours=2, minutes=4),
        deadline=NOW + timedelta(hours=5, minutes=55),
        outputs={
            "url": OutputView(value=URL, description="Where it answers"),
            "password": OutputView(value=MASK, description="For the page", secret=True),
        },
        deployment=_deployment(
            DeploymentKind.CREATE,
            DeploymentState.SUCCEEDED,
            _step("settings", "consul.kv", StepState.DONE, -7500, 0.2),
            _step("password", "vault.secret", StepState.DONE, -7500, 0.1),
            _step("certificate", "vault.certificate", StepState.DONE, -7500, 0.3),
            _step("app", "nomad.job", StepState.DONE, -7499, 1.4),
            _step("answers", "check.http", StepState.DONE, -7497, 0.9),
            id="dep-1",
        ),
    )


def deploying() -> EnvironmentView:
    """An environment in the middle of being made."""
    return environment_view(
        "branch-418",
        State.DEPLOYING,
        created_at=NOW - timedelta(seconds=5),
        state_since=NOW - timedelta(seconds=4),
        deadline=NOW + timedelta(hours=8),
        deployment=_deployment(
            DeploymentKind.CREATE,
            DeploymentState.RUNNING,
            _step("settings", "consul.kv", StepState.DONE, -4, 0.2),
            _step("password", "vault.secret", StepState.DONE, -4, 0.1),
            _step("certificate", "vault.certificate", StepState.DONE, -3.9, 0.3),
            _step("app", "nomad.job", StepState.RUNNING, -3.6),
            _step("answers", "check.http", StepState.PENDING),
            id="dep-2",
        ),
    )


def queued() -> EnvironmentView:
    """An environment `patient`, whose first deployment `dep-9` waits."""
    waiting = DeploymentView(
        id="dep-9",
        kind=DeploymentKind.CREATE,
        state=DeploymentState.QUEUED,
        reason="created",
        requested_by="ada",
        requested_at=NOW,
    )
    return environment_view("patient", State.REQUESTED, deployment=waiting)


def failed() -> EnvironmentView:
    """An environment whose job doesn't get healthy."""
    return environment_view(
        "shop",
        State.FAILED,
        owner="grace",
        created_at=NOW - timedelta(minutes=12),
        state_since=NOW - timedelta(minutes=11),
        deadline=NOW + timedelta(days=2, hours=3),
        failure=FAILURE,
        deployment=_deployment(
            DeploymentKind.CREATE,
            DeploymentState.FAILED,
            _step("settings", "consul.kv", StepState.DONE, -700, 0.2),
            _step("app", "nomad.job", StepState.FAILED, -699, 60).model_copy(update={"failure": FAILURE}),
            _step("answers", "check.http", StepState.SKIPPED),
            id="dep-3",
        ),
    )


def everything() -> InProcessClient:
    """A service with an environment in each state that people meet."""
    client = InProcessClient(
        ready(),
        deploying(),
        failed(),
        environment_view(
            "demo-friday",
            State.READY,
            owner="grace",
            created_at=NOW - timedelta(hours=7, minutes=47),
            state_since=NOW - timedelta(hours=7),
            deadline=NOW + timedelta(minutes=12, seconds=40),
            warned=True,
        ),
        environment_view(
            "load-test",
            State.UPDATING,
            owner="linus",
            created_at=NOW - timedelta(days=3, hours=4),
            deadline=NOW + timedelta(days=4),
        ),
        environment_view("old-branch", State.DESTROYING, created_at=NOW - timedelta(hours=8), deadline=NOW),
        environment_view(
            "stuck",
            State.DESTROY_FAILED,
            owner="linus",
            created_at=NOW - timedelta(days=1),
            deadline=NOW - timedelta(minutes=9),
            destroy_again_at=NOW + timedelta(seconds=40),
            failure=Failure(code="backend_unavailable", message="Consul doesn't answer.", hint="It will be retried."),
        ),
        environment_view(
            "meta",
            State.READY,
            template="meta",
            created_at=NOW - timedelta(days=21),
            deadline=None,
            maximum_deadline=None,
            managed_by="doit on build-7",
        ),
    )
    client.keep_secret("checkout-fix", "password", "correct horse")
    for name in ("checkout-fix", "branch-418"):
        client.inventory[name] = [
            _resource("nomad.namespace", name),
            _resource("consul.policy", f"env-{name}"),
            _resource("consul.kv", f"environments/{name}/message"),
            _resource("vault.secret", f"environments/{name}/password"),
            _resource("vault.role", f"pki/roles/{name}"),
            _resource("nomad.job", "web", ResourceStatus.INTENDED if name == "branch-418" else ResourceStatus.PRESENT),
        ]
        _tell_history(client, name)
    return client


def drift_away(client: InProcessClient) -> None:
    """The environment `checkout-fix` is no longer what its steps made."""
    client.observed["checkout-fix"] = Drift(
        observed_at=NOW - timedelta(minutes=3),
        steps=plan_steps()[:2],
        unexpected=(Unexpected(kind="nomad.job", address="checkout-fix/stranger", detail="running"),),
    )
    client.put(client.views["checkout-fix"].model_copy(update={"drifted": True}))


def _resource(kind: str, address: str, status: ResourceStatus = ResourceStatus.PRESENT) -> ResourceView:
    return ResourceView(kind=kind, address=address, step=None, status=status, created_at=NOW, updated_at=NOW)


def _tell_history(client: InProcessClient, name: str) -> None:
    told: list[tuple[float, EventType, str | None, str, dict[str, str]]] = [
        (-4.0, EventType.ENVIRONMENT_STATE, None, "", {"state": "deploying"}),
        (-3.9, EventType.STEP_STATE, "settings", "", {"state": "done"}),
        (-3.8, EventType.LOG, "password", "Wrote environments/password (1 key)", {}),
        (-3.7, EventType.STEP_STATE, "certificate", "", {"state": "done"}),
        (-3.6, EventType.LOG, "app", "Registered the job web in its namespace", {}),
        (-2.0, EventType.LOG, "app", "Allocation 5f1c2a running, waiting until Consul calls it healthy", {}),
    ]
    client.tell_all(
        (NOW + timedelta(seconds=seconds), kind, name, message, {"step": step, "data": data})
        for seconds, kind, step, message, data in told
    )


def many(count: int) -> InProcessClient:
    """A service with many environments."""
    states = [State.READY, State.READY, State.DEPLOYING, State.FAILED, State.READY]
    return InProcessClient(
        *(
            environment_view(
                f"env-{number:05}",
                states[number % len(states)],
                created_at=NOW - timedelta(minutes=number),
                deadline=NOW + timedelta(minutes=1 + number * 7 % 5000),
            )
            for number in range(count)
        )
    )


__all__ = [
    "FAILURE",
    "NOW",
    "URL",
    "ZONE",
    "clock",
    "deploying",
    "drift_away",
    "everything",
    "failed",
    "make_app",
    "many",
    "ready",
]
