"""Stops and starts environments: on request, and by the calendar."""

from collections.abc import Callable
from datetime import datetime, timedelta

from environments.domain.environment import Environment, EventType
from environments.domain.errors import CalvinverseError, InvalidTemplate, NotAllowedNow
from environments.domain.lifecycle import DeploymentKind, State, check_switch
from environments.domain.names import META
from environments.domain.timing import Because, Source
from environments.service import enqueue
from environments.service.authorization import CLOCK, Action, Principal, environment_to_change, may
from environments.service.deadlines import switched, switches
from environments.service.enqueue import DeploymentRequest
from environments.service.records import Accepted, accepted
from environments.service.storage.deployments import newest_of
from environments.service.storage.transaction import Storage, Transaction
from environments.service.switch_retries import DONE, KINDS, retry, tell_not_switched, told_already
from environments.service.timing import Due
from environments.service.timing_facts import Facts

_AT_ONCE = 50
"""Environments that the scheduler stops and starts in one transaction."""

LEAST_BETWEEN = timedelta(minutes=5)
"""Between two stops or starts of an environment by the calendar, retries apart: rules may fire each minute."""

_AGAIN = timedelta(hours=1)
"""How long an environment is left whose rules can't be computed on this machine."""

_ACTIONS = {
    DeploymentKind.STOP: Action.ENVIRONMENT_STOP,
    DeploymentKind.START: Action.ENVIRONMENT_START,
}
_THERE = {DeploymentKind.STOP: State.STOPPED, DeploymentKind.START: State.READY}


class Switching:
    """Queues stops and starts; the engine carries them out."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], new_id: Callable[[str], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id

    def stop(self, principal: Principal, name: str, reason: str = "") -> Accepted:
        """Queues a stop: what runs ends, data is kept, until somebody or the calendar's next start starts it.

        Raises `NotAllowedNow`, also while a new version awaits promotion.
        """
        return self._on_request(principal, name, DeploymentKind.STOP, reason)

    def start(self, principal: Principal, name: str, reason: str = "") -> Accepted:
        """Queues a start: what a stop ended runs again, then the checks run. Raises `NotAllowedNow`."""
        return self._on_request(principal, name, DeploymentKind.START, reason)

    def _on_request(self, principal: Principal, name: str, kind: DeploymentKind, reason: str) -> Accepted:
        now = self._clock()
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name)
            why = reason or f"{DONE[kind]} by {principal.owner}"
            asked = DeploymentRequest(self._new_id("dep"), principal.owner, why, now)
            return switch(tx, principal, environment, kind, asked)

    def switch_due(self) -> list[str]:
        """Queues the stops and starts that are due by the calendar; returns the names of these environments.

        Of several moments that have passed only the last counts: what should hold now. What failed is tried again if
        that still holds. An environment with a deployment is left until that has ended, and one that the calendar
        stopped or started within `LEAST_BETWEEN` until that is over. Each call handles at most `_AT_ONCE` of both. Call
        it until it returns none.
        """
        now = self._clock()
        rested = now - LEAST_BETWEEN
        with self._storage.read() as tx:
            if not tx.environments.to_switch(now, 1, not_since=rested) and not tx.environments.to_switch_again(now, 1):
                return []
        names = []
        with self._storage.write() as tx:
            facts = Facts(tx)
            for environment in tx.environments.to_switch(now, _AT_ONCE, not_since=rested):
                try:
                    due, done = switches(facts, environment, now), switched(facts, environment, now)
                except CalvinverseError as error:  # of one environment, so others go on
                    self._postpone(tx, environment, error, now)
                    continue
                if due is not None:
                    self._by_calendar(tx, environment, due, now)
                tx.environments.change(environment.id, **done)
                names.append(environment.name)
            for environment in tx.environments.to_switch_again(now, _AT_ONCE):
                self._again(tx, environment, now)
                names.append(environment.name)
        return names

    def _again(self, tx: Transaction, environment: Environment, now: datetime) -> None:
        try:
            found = retry(tx, environment, now)
        except CalvinverseError as error:
            self._tell(tx, environment, f"{environment.name} can't follow the calendar: {error.message}", now)
        else:
            if found is None:
                what = "no rule asks any more for the stop or start that failed, so it isn't tried again"
                self._tell(tx, environment, f"{environment.name} stays as it is: {what}", now)
            else:
                self._by_calendar(tx, environment, found.due, now, found.attempt)
        tx.environments.change(environment.id, switch_again_at=None)

    def _postpone(self, tx: Transaction, environment: Environment, error: CalvinverseError, now: datetime) -> None:
        tx.environments.change(environment.id, switch_at=now + _AGAIN)
        self._tell(tx, environment, f"{environment.name} can't follow the calendar: {error.message}", now)

    def _tell(self, tx: Transaction, environment: Environment, message: str, now: datetime) -> None:
        if told_already(tx, environment, message):
            return
        action = "" if environment.switch_action is None else environment.switch_action.value
        tx.events.add(
            EventType.ENVIRONMENT_NOT_SWITCHED,
            environment.id,
            now,
            message=message,
            data={"action": action},
        )

    def _by_calendar(
        self, tx: Transaction, environment: Environment, due: Due, now: datetime, attempt: int = 1
    ) -> None:
        kind = KINDS[due.action]
        if environment.state is _THERE[kind]:
            return
        asked = DeploymentRequest(
            self._new_id("dep"), CLOCK.owner, _reason(kind, due, attempt), now, by_machine=True, because=due.because
        )
        try:
            _check(tx, environment, kind)
            enqueue.add(tx, environment, kind, asked, may(tx, CLOCK, _ACTIONS[kind], environment))
        except (NotAllowedNow, InvalidTemplate) as error:  # of one environment, so others go on
            message = f"{environment.name} was not {DONE[kind]} by the calendar: {error.message}"
            if not told_already(tx, environment, message):
                tell_not_switched(tx, environment, due, now, message)


def switch(
    tx: Transaction, principal: Principal, environment: Environment, kind: DeploymentKind, asked: DeploymentRequest
) -> Accepted:
    """Queues a stop or a start in the caller's transaction, in which `environment` was read. Raises `NotAllowedNow`."""
    allowed = may(tx, principal, _ACTIONS[kind], environment)
    _check(tx, environment, kind)
    deployment = enqueue.add(tx, environment, kind, asked, allowed)
    # What is asked for holds until the calendar's next moment, whatever it still had to do.
    changes = switched(tx, environment, asked.now)
    tx.environments.change(environment.id, **changes)
    return accepted(tx, environment.model_copy(update=changes), deployment)


def _check(tx: Transaction, environment: Environment, kind: DeploymentKind) -> None:
    """Raises `NotAllowedNow` unless the environment can be stopped or started."""
    if environment.name == META:
        raise NotAllowedNow(
            f"Environment {environment.name!r} runs this service, so it can't be stopped or started.",
            hint="`doit undeploy`, on the machine that deployed it, removes it.",
        )
    newest = newest_of(tx.deployments, environment.id)
    check_switch(environment.name, environment.state, kind, None if newest is None else newest.kind)
    if kind is DeploymentKind.STOP and environment.awaiting_promotion:
        raise NotAllowedNow(
            f"A new version of environment {environment.name!r} awaits promotion: a start after a stop would run it.",
            hint=f"Promote it first, `calvinverse env promote {environment.name}`, or roll back.",
        )


def _reason(kind: DeploymentKind, due: Due, attempt: int) -> str:
    again = "" if attempt == 1 else f", attempt {attempt}"
    return f"{DONE[kind]} by the calendar, due at {due.at:%Y-%m-%d %H:%M %Z}{again}: {_rule(due.because)}"


def _rule(because: Because) -> str:
    match because.source:
        case Source.ENVIRONMENT:
            return f"rule {because.rule!r}, set by {because.by}"
        case Source.OWNER_POLICY | Source.TEMPLATE_POLICY:
            return f"rule {because.rule!r} of the policy for {because.place}, set by {because.by}"
        case _:
            return f"rule {because.rule!r} of {because.place}"
