"""What becomes of a preview's environment, in the transaction that also writes down that it was done."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError, InvalidParameters
from environments.domain.lifecycle import BUSY, ENDED, State
from environments.domain.preview import Decision, Preview, PullRequest, Wanted
from environments.domain.preview_names import environment_name
from environments.domain.received_event import fields_of
from environments.domain.trigger import PlacedTrigger
from environments.domain.trigger_values import Unresolved, Values, resolve_all
from environments.service import effects
from environments.service.authorization import Principal
from environments.service.checking import Verdicts
from environments.service.enqueue import DeploymentRequest, Sealer
from environments.service.storage.transaction import Transaction

_GOING = frozenset({State.DESTROYING, State.DESTROY_FAILED})

SOON = timedelta(seconds=2)
"""When something is looked at again that another deployment, or a name that isn't free yet, holds up."""

_LATER = timedelta(minutes=1)


class Effect(NamedTuple):
    """What to write into the preview's record, and when to look again; None: when something happens."""

    values: dict[str, Any]
    look_at: datetime | None = None


def lives(preview: Preview, environment: Environment | None) -> bool:
    """Whether its environment is there and isn't to end."""
    return (
        environment is not None
        and environment.state not in ENDED | _GOING
        and preview.wanted is Wanted.ALIVE
        and environment.id == preview.environment_id
    )


class PreviewEffects:
    """Creates, updates and destroys environments for previews, with the rights of the trigger's owner."""

    def __init__(self, sealer: Sealer, new_id: Callable[[str], str]) -> None:
        self._sealer = sealer
        self._new_id = new_id

    def apply(
        self,
        tx: Transaction,
        preview: Preview,
        placed: PlacedTrigger,
        principal: Callable[[], Principal],
        environment: Environment | None,
        decision: Decision,
        pull: PullRequest | None,
        now: datetime,
        verdicts: Verdicts,
    ) -> Effect:
        """Does the next step towards what is decided. Raises `CalvinverseError`; then nothing was done.

        `principal` gives for whom it is done; it is asked only when something is to be done.
        """
        there = environment is not None and environment.state not in ENDED
        if decision.wanted is Wanted.ENDED:
            return self._end(tx, preview, placed, principal, environment if there else None, decision, now)
        values = {"wanted": Wanted.ALIVE, "because": decision.because, "end_at": decision.end_at}
        if environment is not None and environment.state in _GOING:
            soon = SOON if environment.state is State.DESTROYING else _LATER
            return Effect({**values, "wanted": preview.wanted}, now + soon)
        commit = decision.commit
        if pull is None or not commit or commit == preview.applied_sha:
            return Effect(values, decision.end_at)
        if environment is None or not there:
            return self._create(tx, preview, placed, principal(), values, pull, now, verdicts)
        if environment.state in BUSY:
            return Effect(values, now + SOON)
        if environment.state is State.STOPPED:
            return Effect(values, now + _LATER)
        return self._update(tx, preview, placed, principal(), environment, values, pull, now, verdicts)

    def _end(
        self,
        tx: Transaction,
        preview: Preview,
        placed: PlacedTrigger,
        principal: Callable[[], Principal],
        environment: Environment | None,
        decision: Decision,
        now: datetime,
    ) -> Effect:
        values = {"wanted": Wanted.ENDED, "because": decision.because, "end_at": None, "applied_sha": ""}
        if environment is None:
            return Effect(values)
        if environment.state is State.DESTROY_FAILED:  # the scheduler tries it again
            return Effect(values, now + _LATER)
        if environment.state is not State.DESTROYING:
            owner = principal()
            reason = f"{_subject(placed, preview)}: {decision.because}"
            effects.destroy(tx, owner, environment, self._asked(preview, owner.owner, reason, now))
        return Effect(values, now + SOON)

    def _create(
        self,
        tx: Transaction,
        preview: Preview,
        placed: PlacedTrigger,
        principal: Principal,
        values: dict[str, Any],
        pull: PullRequest,
        now: datetime,
        verdicts: Verdicts,
    ) -> Effect:
        trigger = placed.definition
        name = environment_name(trigger.environment, preview.repository, preview.number)
        request = CreateEnvironment(
            name=name,
            template=trigger.template,
            parameters=parameters_of(placed, pull),
            until=None if trigger.ttl is None else now + trigger.ttl,
        )
        reason = f"{_subject(placed, preview)}, commit {pull.head_sha[:10]}"
        asked = self._asked(preview, principal.owner, reason, now, by_machine=True)
        done = effects.create(tx, principal, request, self._new_id("env"), asked, verdicts, self._sealer)
        made = {
            "environment_id": done.environment.id,
            "environment": name,
            "generation": preview.generation + 1,
            "applied_sha": pull.head_sha,
        }
        return Effect({**values, **made}, now + SOON)

    def _update(
        self,
        tx: Transaction,
        preview: Preview,
        placed: PlacedTrigger,
        principal: Principal,
        environment: Environment,
        values: dict[str, Any],
        pull: PullRequest,
        now: datetime,
        verdicts: Verdicts,
    ) -> Effect:
        request = UpdateEnvironment(parameters=parameters_of(placed, pull))
        reason = f"{_subject(placed, preview)}, commit {pull.head_sha[:10]}"
        asked = self._asked(preview, principal.owner, reason, now, by_machine=True)
        effects.update(tx, principal, environment, request, asked, verdicts, self._sealer)
        return Effect({**values, "applied_sha": pull.head_sha}, now + SOON)

    def _asked(
        self, preview: Preview, by: str, reason: str, now: datetime, *, by_machine: bool = False
    ) -> DeploymentRequest:
        """What is asked for is counted as the firing of the last event that the preview was looked at for."""
        hops = preview.seen.hops + 1
        return DeploymentRequest(self._new_id("dep"), by, reason, now, by_machine=by_machine, hops=hops)


def parameters_of(placed: PlacedTrigger, pull: PullRequest) -> dict[str, Any]:
    """The trigger's parameters with the values of a pull request, which are data. Raises `InvalidParameters`."""
    values = Values(event=fields_of(pull.fields()))
    try:
        found: dict[str, Any] = resolve_all(placed.definition.parameters, values)
    except Unresolved as error:
        raise InvalidParameters(str(error)) from None
    return found


def _subject(placed: PlacedTrigger, preview: Preview) -> str:
    return f"trigger {placed.name}: preview of {preview.repository}#{preview.number}"


def fault_of(error: CalvinverseError) -> str:
    """A fault as it is kept: what was refused, not what a stranger wrote."""
    return f"{error.code}: {error.message}"
