"""Follows a deployment with a client and reports it in lines: one per step, and the failure."""

import time
from collections.abc import Callable

from environments.client import Client
from environments.domain.environment import EventType
from environments.domain.errors import StepFailed, StepTimeout
from environments.domain.lifecycle import ENDED_DEPLOYMENTS, State
from environments.wire.environments import EnvironmentView

TIME_LIMIT = 900.0
"""Time limit in seconds for a deployment of the meta environment."""

_PAUSE = 0.2
_SHOWN = (EventType.STEP_STATE, EventType.LOG)


def follow(client: Client, name: str, until: frozenset[State], tell: Callable[[str], object]) -> EnvironmentView:
    """The environment once it is in one of the states; reports steps and log lines from now on.

    Raises `StepFailed` when it is failed instead, `StepTimeout` when it takes too long.
    """
    environment = client.environment(name)
    deployment = environment.deployment
    after, began, starts = 0, time.monotonic(), dict[str, float]()
    while True:
        environment = client.environment(name)
        for event in client.history(name, after=after):
            after = event.id
            if event.type not in _SHOWN or (deployment and event.deployment_id != deployment.id):
                continue
            state = event.data.get("state")
            if event.type is EventType.LOG:
                tell(f"    {event.message}")
            elif state == "running":
                starts[str(event.step)] = event.at.timestamp()
            elif state in ("done", "failed"):
                seconds = event.at.timestamp() - starts.get(str(event.step), event.at.timestamp())
                tell(f"  {'✓' if state == 'done' else '✗'} {event.step} {state} ({seconds:.1f} s)")
        # Until a worker claims the newest deployment, the environment still has the state of the one before.
        newest = environment.deployment
        ended = newest is None or newest.state in ENDED_DEPLOYMENTS
        if ended and environment.state in until:
            return environment
        if ended and environment.state in (State.FAILED, State.DESTROY_FAILED):
            failure = environment.failure
            raise StepFailed(
                failure.message if failure else f"{name} is {environment.state.value}.",
                hint=failure.hint if failure else "",
            )
        if time.monotonic() - began > TIME_LIMIT:
            raise StepTimeout(f"{name} is still {environment.state.value} after {TIME_LIMIT:.0f} s.")
        time.sleep(_PAUSE)
