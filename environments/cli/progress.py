"""Follows a deployment as it happens: its steps and log on standard error, its end as a result."""

from environments.cli.environments_reading import PAGE
from environments.cli.failures import DeploymentFailed
from environments.cli.session import Session
from environments.client import Client, Connected, Disconnected
from environments.domain.environment import Event, EventType, Failure
from environments.domain.errors import (
    CalvinverseError,
    Cancelled,
    StepFailed,
    Superseded,
    TooManyRequests,
    all_errors,
)
from environments.domain.lifecycle import ENDED_DEPLOYMENTS, DeploymentState, StepState
from environments.domain.views import DeploymentView, StepView
from environments.words import STEPS, clean, taken

_LOOK_AGAIN_ON = frozenset({EventType.STEP_STATE, EventType.DEPLOYMENT_STATE, EventType.ENVIRONMENT_STATE})


class Progress:
    """Tells of each step of a deployment once for each state that it takes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told: dict[str, StepState] = {}

    def tell(self, deployment: DeploymentView) -> None:
        """Tells what has changed since the last time."""
        width = max((len(step.name) for step in deployment.steps), default=0)
        for step in deployment.steps:
            before = self._told.get(step.name, StepState.PENDING)
            if step.state is before:
                continue
            self._told[step.name] = step.state
            self._session.say(_step_line(step, width))

    def log(self, event: Event) -> None:
        """Passes a line of the log on."""
        step = f"{event.step}: " if event.step else ""
        for line in clean(event.message).splitlines():
            self._session.say(f"    {step}{line}")


def _step_line(step: StepView, width: int) -> str:
    sign = STEPS[step.state]
    line = f"  {sign.glyph} {step.name.ljust(width)}  {sign.word}"
    if step.state is StepState.DONE and step.started_at and step.ended_at:
        line += f"  {taken(step.ended_at - step.started_at)}"
    if step.failure is not None:
        line += f"  {clean(step.failure.message)}"
    return line


def follow(
    session: Session, client: Client, environment_id: str, deployment_id: str, *, after: int | None
) -> DeploymentView:
    """The deployment once it has ended. Loses nothing while the service is away, and says when it is.

    `after`: 0 to see all of a new environment's events, None for only those from now on.
    """
    progress = Progress(session)
    stream = client.events(after, environment_id)
    away = False
    last = after or 0
    try:
        for item in stream:
            if isinstance(item, Event):
                last = item.id
            if isinstance(item, Disconnected):
                if not away:
                    session.say(f"  … {item.error.message} The deployment goes on; trying again.")
                away = True
                if not isinstance(item.error, TooManyRequests):
                    continue  # else the service is there, and tells at each attempt how far it is
            elif isinstance(item, Connected):
                if away:
                    session.say("  … the service is back.")
                away = False
            elif item.type is EventType.LOG:
                if item.deployment_id == deployment_id:
                    progress.log(item)
                continue
            elif item.type not in _LOOK_AGAIN_ON:
                continue
            try:
                deployment = client.deployment(deployment_id)
            except CalvinverseError as error:
                if not error.transient:
                    raise
                continue  # the stream notices as well, and comes back
            progress.tell(deployment)
            if deployment.state in ENDED_DEPLOYMENTS:
                _rest_of_log(progress, client, deployment_id, environment_id, last)
                return deployment
    finally:
        stream.close()
    raise AssertionError("the stream of events ended by itself")


def _rest_of_log(progress: Progress, client: Client, deployment_id: str, environment_id: str, last: int) -> None:
    """What was written before the deployment ended, but has not come through the stream yet: often why it failed."""
    while page := client.history(environment_id, after=last, limit=PAGE):
        for event in page:
            if event.type is EventType.LOG and event.deployment_id == deployment_id:
                progress.log(event)
        last = page[-1].id


def failure_error(failure: Failure, deployment_id: str) -> CalvinverseError:
    """The error that a failure was, with the class of its code."""
    known = {cls.code: cls for cls in reversed(all_errors())}
    where = f"Step {failure.step!r}: " if failure.step and repr(failure.step) not in failure.message else ""
    cls = known.get(failure.code, StepFailed)
    details = {"deployment": deployment_id, "step": failure.step}
    return cls(f"{where}{failure.message}", hint=failure.hint, details=details)


def check_succeeded(deployment: DeploymentView) -> None:
    """Raises `DeploymentFailed`; `Superseded` when another request took its place, `Cancelled`."""
    if deployment.state is DeploymentState.SUPERSEDED:
        raise Superseded("Another request took the place of this deployment.", hint="See `calvinverse env show`.")
    if deployment.state is DeploymentState.CANCELLED:
        by = f" by {deployment.cancel_requested_by}" if deployment.cancel_requested_by else ""
        raise Cancelled(f"The deployment was cancelled{by}.")
    if deployment.state is DeploymentState.FAILED:
        failure = deployment.failure or Failure(code=StepFailed.code, message="The deployment failed.")
        raise DeploymentFailed(failure_error(failure, deployment.id))
