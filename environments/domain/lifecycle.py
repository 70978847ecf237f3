"""The one table of allowed moves of an environment, and of a deployment's and a step's states."""

from enum import StrEnum

from environments.domain.errors import NotAllowedNow


class State(StrEnum):
    """Where an environment is in its life."""

    REQUESTED = "requested"
    DEPLOYING = "deploying"
    VALIDATING = "validating"
    READY = "ready"
    FAILED = "failed"
    UPDATING = "updating"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"
    DESTROY_FAILED = "destroy_failed"
    ABANDONED = "abandoned"


class DeploymentKind(StrEnum):
    """What a deployment does to its environment."""

    CREATE = "create"
    UPDATE = "update"
    DESTROY = "destroy"
    REPAIR = "repair"
    PROMOTE = "promote"
    STOP = "stop"
    START = "start"


class DeploymentState(StrEnum):
    """A deployment waits, runs, and ends once; after that it never changes."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """A line of the journal."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class ResourceStatus(StrEnum):
    """What we know of a resource: `intended` may or may not exist, and is destroyed like one that does."""

    INTENDED = "intended"
    PRESENT = "present"
    GONE = "gone"
    STUCK = "stuck"
    ABANDONED = "abandoned"


MOVES: dict[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.DEPLOYING, State.FAILED, State.DESTROYING}),
    State.DEPLOYING: frozenset({State.VALIDATING, State.READY, State.FAILED, State.DESTROYING}),
    State.VALIDATING: frozenset({State.READY, State.FAILED, State.DESTROYING}),
    State.READY: frozenset({State.UPDATING, State.STOPPING, State.DESTROYING}),
    State.FAILED: frozenset({State.DEPLOYING, State.UPDATING, State.STOPPING, State.STARTING, State.DESTROYING}),
    State.UPDATING: frozenset({State.VALIDATING, State.READY, State.FAILED, State.DESTROYING}),
    State.STOPPING: frozenset({State.STOPPED, State.FAILED, State.DESTROYING}),
    State.STOPPED: frozenset({State.STARTING, State.DESTROYING}),
    State.STARTING: frozenset({State.VALIDATING, State.READY, State.FAILED, State.DESTROYING}),
    State.DESTROYING: frozenset({State.DESTROYED, State.DESTROY_FAILED}),
    State.DESTROY_FAILED: frozenset({State.DESTROYING, State.ABANDONED}),
    State.DESTROYED: frozenset(),
    State.ABANDONED: frozenset(),
}
"""Everything that may follow a state. Without checks, deploying, updating and starting go straight to ready."""

ENDED = frozenset({State.DESTROYED, State.ABANDONED})
"""States that nothing leaves. The name of an abandoned one is free once nothing of it is found."""

BUSY = frozenset(
    {
        State.REQUESTED,
        State.DEPLOYING,
        State.VALIDATING,
        State.UPDATING,
        State.STOPPING,
        State.STARTING,
        State.DESTROYING,
    }
)
"""States in which a deployment is waiting or running."""

ENDED_DEPLOYMENTS = frozenset(DeploymentState) - {DeploymentState.QUEUED, DeploymentState.RUNNING}

STARTS_FROM: dict[DeploymentKind, frozenset[State]] = {
    DeploymentKind.CREATE: frozenset({State.FAILED}),
    DeploymentKind.UPDATE: frozenset({State.READY, State.FAILED}),
    DeploymentKind.REPAIR: frozenset({State.READY, State.FAILED}),
    DeploymentKind.PROMOTE: frozenset({State.READY}),
    DeploymentKind.STOP: frozenset({State.READY, State.FAILED}),
    DeploymentKind.START: frozenset({State.STOPPED, State.FAILED}),
    DeploymentKind.DESTROY: frozenset(State) - ENDED - {State.DESTROYING},
}
"""From which states a person may ask for a deployment of an existing environment (create: to try again).

A failed environment is stopped or started only if a stop or a start of it failed (`check_switch`).
"""

SWITCHES = frozenset({DeploymentKind.STOP, DeploymentKind.START})
"""Kinds of deployments that change only whether an environment runs."""


def check_move(environment: str, now: State, then: State) -> State:
    """`then`, if an environment may go there from `now`. Raises `NotAllowedNow`."""
    if then not in MOVES[now]:
        raise NotAllowedNow(
            f"Environment {environment!r} is {now.value} and can't become {then.value}.", hint=way_on(environment, now)
        )
    return then


def check_request(environment: str, now: State, kind: DeploymentKind) -> None:
    """Raises `NotAllowedNow` unless a person may ask for `kind` in this state."""
    if now not in STARTS_FROM[kind]:
        verb = {
            DeploymentKind.CREATE: "retried",
            DeploymentKind.UPDATE: "updated",
            DeploymentKind.REPAIR: "repaired",
            DeploymentKind.PROMOTE: "promoted",
            DeploymentKind.STOP: "stopped",
            DeploymentKind.START: "started",
            DeploymentKind.DESTROY: "destroyed",
        }[kind]
        raise NotAllowedNow(
            f"Environment {environment!r} is {now.value} and can't be {verb} now.", hint=way_on(environment, now)
        )


def check_switch(environment: str, now: State, kind: DeploymentKind, newest: DeploymentKind | None) -> None:
    """Raises `NotAllowedNow` unless an environment may be stopped or started. `newest`: its last deployment's kind.

    A failed one may if that was a stop or a start: other failures leave nothing that could be stopped as a whole.
    """
    check_request(environment, now, kind)
    if now is State.FAILED and newest not in SWITCHES:
        verb = "stopped" if kind is DeploymentKind.STOP else "started"
        raise NotAllowedNow(
            f"Environment {environment!r} is failed and can't be {verb} now.", hint=way_on(environment, now)
        )


def way_on(environment: str, now: State) -> str:
    """What a person can do with an environment in this state instead of what doesn't fit it."""
    command = "`calvinverse env "
    if now is State.DESTROYED:
        return f"It is gone, and its name is free: {command}create {environment}` makes a new one."
    if now is State.ABANDONED:
        return f"It was abandoned: {command}show {environment} --resources` lists what may be left."
    if now is State.DESTROYING:
        return f"{command}watch {environment}` follows it until it is gone."
    if now is State.DESTROY_FAILED:
        return f"The service retries the destroy automatically; {command}retry {environment}` retries at once."
    if now in BUSY:
        return (
            f"{command}watch {environment}` follows what runs, {command}cancel {environment}` stops it, and "
            f"{command}destroy {environment}` is always possible."
        )
    if now is State.STOPPED:
        return f"{command}start {environment}` starts it, {command}destroy {environment}` removes it with its data."
    if now is State.READY:
        return (
            f"Nothing has to be tried again: {command}update {environment}` applies changes, {command}repair "
            f"{environment}` restores what differs from what was made."
        )
    return f"{command}show {environment}` says why, {command}retry {environment}` retries."


def state_when_running(kind: DeploymentKind) -> State:
    """The environment's state while a deployment of this kind makes its changes."""
    return {
        DeploymentKind.CREATE: State.DEPLOYING,
        DeploymentKind.UPDATE: State.UPDATING,
        DeploymentKind.REPAIR: State.UPDATING,
        DeploymentKind.PROMOTE: State.UPDATING,
        DeploymentKind.STOP: State.STOPPING,
        DeploymentKind.START: State.STARTING,
        DeploymentKind.DESTROY: State.DESTROYING,
    }[kind]
