"""Whether an action fits the caller and the present state of an environment, so that every front end answers alike."""

from typing import TYPE_CHECKING

from environments.actions.action import PROGRAM, Action, Risk
from environments.domain.lifecycle import BUSY, ENDED_DEPLOYMENTS, SWITCHES, State

if TYPE_CHECKING:  # the command line reads the registry to say `--help`, and shouldn't have to wait for pydantic
    from environments.wire.environments import EnvironmentView


def not_allowed(action: Action, role: str) -> str | None:
    """One sentence that says why nobody of this role may do this; None when they may, or `role` isn't known (empty)."""
    if action.admins and role not in ("", "admin"):
        return f"{action.title}: only admins may do this, and your token isn't an admin's."
    return None


_SWITCHES = ("environment.stop", "environment.start")


NEEDS = {
    "environment.outputs": ("reveal", "owner, or a share that lets reveal"),
    "environment.container_logs": ("read_container_logs", "operator"),
    "environment.drift": ("observe", "planner"),
    "environment.update": ("update", "operator"),
    "environment.extend": ("extend", "operator"),
    "environment.schedule": ("extend", "operator"),
    "environment.stop": ("stop", "operator"),
    "environment.start": ("start", "operator"),
    "environment.retry": ("retry", "operator"),
    "environment.add_rule": ("rules", "operator"),
    "environment.remove_rule": ("rules", "operator"),
    "environment.pin": ("pin", "operator"),
    "environment.unpin": ("pin", "operator"),
    "environment.repair": ("repair", "operator"),
    "environment.promote": ("promote", "operator"),
    "environment.rollback": ("roll_back", "operator"),
    "environment.cancel": ("cancel", "operator"),
    "environment.destroy": ("destroy", "owner"),
    "environment.abandon": ("abandon", "owner"),
    "environment.share": ("share", "owner"),
    "environment.transfer": ("transfer", "owner"),
    "trigger.add": ("triggers", "operator"),
    "trigger.remove": ("triggers", "operator"),
    "trigger.pause": ("triggers", "operator"),
    "trigger.resume": ("triggers", "operator"),
}
"""Id → what the service calls the action, and the role on the environment that it takes."""


def beyond_role(action: Action, environment: "EnvironmentView") -> str | None:
    """One sentence that says why the caller's role doesn't allow this; None when it does, or the role isn't known."""
    name, needed = NEEDS.get(action.id, ("", ""))
    role = environment.role
    if not name or role is None or name in environment.may:
        return None
    if role.value == needed or role.value == "owner":
        return f"{action.title}: your token isn't for this, although you are {role.value} of {environment.name}."
    return (
        f"{action.title}: you are {role.value} of {environment.name}, and this takes the role {needed}. "
        f"Ask {environment.owner}."
    )


def refusal(action: Action, environment: "EnvironmentView") -> str | None:
    """One sentence that says why this can't be done to the environment now; None when it can."""
    if (why_not := beyond_role(action, environment)) is not None:
        return why_not
    if action.risk is Risk.READ or action.states is None:
        return None
    if environment.managed_by is not None:
        return f"{environment.name} is managed from outside ({environment.managed_by}) and read-only here."
    if environment.state not in action.states:
        state = environment.state.value.replace("_", " ")
        return f"{environment.name} is {state}: {action.title.lower()} isn't possible now."
    if action.id == "environment.promote" and not environment.awaiting_promotion:
        return f"Nothing of {environment.name} awaits promotion."
    if action.id in _SWITCHES and environment.state is State.FAILED:
        newest = environment.deployment
        return None if newest is not None and newest.kind in SWITCHES else _not_switched(action, environment)
    if action.id == "environment.rollback":
        return _no_way_back(environment)
    return _nothing_runs(environment) if action.id == "environment.cancel" else None


def _not_switched(action: Action, environment: "EnvironmentView") -> str:
    verb = action.title.lower()
    return f"{environment.name} has failed, and not in a stop or a start: {verb} isn't possible now."


def _nothing_runs(environment: "EnvironmentView") -> str | None:
    """Why there is nothing to cancel; None when there is, or may be: the state says nothing of an update that waits."""
    newest = environment.deployment
    if environment.state in BUSY or newest is None or newest.state not in ENDED_DEPLOYMENTS:
        return None
    return f"No deployment of {environment.name} is queued or running."


def _no_way_back(environment: "EnvironmentView") -> str | None:
    """Why there is nothing to go back to; None when there is.

    A ready environment is as its last good deployment made it: going further back needs that deployment's id.
    """
    name = environment.name
    if environment.last_good is None:
        return f"{name} was never ready: there is nothing to roll back to."
    if environment.state is State.READY and not environment.awaiting_promotion:
        return (
            f"{name} is as its last good deployment made it; `{PROGRAM} env rollback {name} --to DEPLOYMENT` goes "
            "further back."
        )
    return None
