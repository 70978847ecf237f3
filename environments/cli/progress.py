"""Follows a deployment: steps and log lines on standard error, its end as a result."""

from datetime import datetime, timedelta

from environments.cli.events import stored_events
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
from environments.moments import taken
from environments.wire.deployments import DeploymentView
from environments.words import STEPS, clean

_LOOK_AGAIN_ON = frozenset({EventType.DEPLOYMENT_STATE, EventType.ENVIRONMENT_STATE})
_ENDED_STEPS = frozenset({StepState.DONE, StepState.FAILED, StepState.SKIPPED})


class Progress:
    """Prints each state of each step of a deployment once, and its log lines, in order."""

    def __init__(self, session: Session, deployment_id: str) -> None:
        self._session = session
        self._deployment_id = deployment_id
        self._told: dict[str, StepState] = {}
        self._began: dict[str, datetime] = {}
        self._width = 0

    @property
    def knows_steps(self) -> bool:
        """Whether the steps are known; they aren't until the deployment has begun."""
        return self._width > 0

    def expect(self, deployment: DeploymentView) -> None:
        """Stores which steps there are."""
        self._width = max((len(step.name) for step in deployment.steps), default=self._width)

    def tell(self, deployment: DeploymentView) -> None:
        """Prints changes of steps for which no event has come."""
        self.expect(deployment)
        for step in deployment.steps:
            time = step.ended_at - step.started_at if step.started_at and step.ended_at else None
            self._step(step.name, step.state, time, step.failure)

    def take(self, event: Event) -> None:
        """Prints an event, if it belongs to the deployment."""
        if event.deployment_id != self._deployment_id:
            return
        if event.type is EventType.LOG:
            step = f"{event.step}: " if event.step else ""
            for line in clean(event.message).splitlines():
                self._session.say(f"    {step}{line}")
        elif event.type is EventType.STEP_STATE and event.step and event.data.get("state") in set(StepState):
            state, failure = StepState(event.data["state"]), event.data.get("failure")
            began = self._began.setdefault(event.step, event.at)
            shown = Failure.model_validate(failure) if failure else None
            time = event.at - began if self._told.get(event.step) is StepState.RUNNING else None
            self._step(event.step, state, time, shown, unchanged=bool(event.data.get("unchanged")))

    def _step(
        self, name: str, state: StepState, time: timedelta | None, failure: Failure | None, *, unchanged: bool = False
    ) -> None:
        before = self._told.get(name, StepState.PENDING)
        if state is before or before in _ENDED_STEPS:
            return
        self._told[name] = state
        sign = STEPS[state]
        line = f"  {sign.glyph} {name.ljust(self._width)}  {sign.word}{', nothing to change' if unchanged else ''}"
        if state is StepState.DONE and time is not None:
            line += f"  {taken(time)}"
        if failure is not None:
            line += f"  {clean(failure.message)}"
        self._session.say(line)


def follow(
    session: Session, client: Client, environment_id: str, deployment_id: str, *, after: int | None
) -> DeploymentView:
    """The deployment after its end. Loses nothing while the service can't be reached, and reports the outage.

    `after`: an id below those of all that the deployment does, so that everything is told in the order in which it
    happens. None: it may have begun; what it has done by now is told first.
    """
    progress = Progress(session, deployment_id)
    stream = client.events(after, environment_id)
    away, first = False, after is None
    last = after or 0
    try:
        for item in stream:
            if isinstance(item, Disconnected):
                if not away:
                    session.say(f"  … {item.error.message} The deployment continues; retrying.")
                away = True
                if not isinstance(item.error, TooManyRequests):
                    continue  # otherwise the service is there, and each attempt shows the progress
            elif isinstance(item, Connected):
                if away:
                    session.say("  … the service is back.")
                away = False
            elif progress.knows_steps and item.type not in _LOOK_AGAIN_ON:
                last = item.id
                progress.take(item)
                continue
            try:
                deployment = client.deployment(deployment_id)
            except CalvinverseError as error:
                if not error.transient:
                    raise
                deployment = None  # the stream fails as well, and reconnects
            if deployment is not None:
                progress.expect(deployment)
            if isinstance(item, Event):
                last = item.id
                progress.take(item)
            if deployment is None:
                continue
            if first or away:
                progress.tell(deployment)
                first = False
            if deployment.state in ENDED_DEPLOYMENTS:
                _rest(progress, client, environment_id, last)
                progress.tell(deployment)
                return deployment
    finally:
        stream.close()
    raise AssertionError("the stream of events ended without an error")


def _rest(progress: Progress, client: Client, environment_id: str, last: int) -> None:
    """Prints what was stored before the end of the deployment, but hasn't arrived yet: often why it failed."""
    for event in stored_events(client, environment_id, last):
        progress.take(event)


def failure_error(failure: Failure, deployment_id: str) -> CalvinverseError:
    """A failure as the error of its code."""
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
