"""What each action of a trigger does, in the transaction of its firing, by the functions that carry out requests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.deadline import format_duration, later
from environments.domain.environment import Environment
from environments.domain.errors import InvalidInput
from environments.domain.lifecycle import ENDED, DeploymentKind, State
from environments.domain.received_event import ReceivedEvent
from environments.domain.trigger import Firing, PlacedTrigger, Trigger, TriggerAction
from environments.domain.trigger_values import Unresolved, resolve_all, resolve_text
from environments.service import effects
from environments.service.authorization import Action, Principal, check_role
from environments.service.checking import Verdicts
from environments.service.enqueue import DeploymentRequest, Sealer
from environments.service.extending import check_extendable, extend_to
from environments.service.matching import values_of
from environments.service.records import Accepted
from environments.service.running_again import WhyNot, any_step
from environments.service.storage.transaction import Transaction
from environments.service.switching import switch


@dataclass(frozen=True)
class Effect:
    """One firing that is carried out in a transaction, for `principal`. `asked` is what it may queue."""

    tx: Transaction
    principal: Principal
    trigger: PlacedTrigger
    firing: Firing
    event: ReceivedEvent
    asked: DeploymentRequest
    verdicts: Verdicts


@dataclass(frozen=True)
class Done:
    """It was done. `environment_id`: the environment that it made."""

    said: str
    deployment_id: str | None = None
    environment_id: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """There is nothing to do."""

    why: str


@dataclass(frozen=True)
class Later:
    """It can't be done yet."""

    why: str


class Notices(Protocol):
    """Tells people."""

    def notify(self, tx: Transaction, environment: Environment, notice: str, now: datetime) -> None:
        """Writes what is delivered once the transaction has ended."""
        ...


class Hints(Protocol):
    """Is told that a pull request is to be looked at."""

    def hint(self, tx: Transaction, trigger: PlacedTrigger, event: ReceivedEvent, now: datetime) -> str:
        """Notes it in the caller's transaction; returns what was noted, in a few words."""
        ...


class NoHints:
    """Nothing makes previews here."""

    def hint(self, tx: Transaction, trigger: PlacedTrigger, event: ReceivedEvent, now: datetime) -> str:
        """Notes nothing."""
        return "nothing makes previews here"


_GONE = ENDED | {State.DESTROYING, State.DESTROY_FAILED}
_THERE = {TriggerAction.STOP: State.STOPPED, TriggerAction.START: State.READY}
_SWITCHES = {TriggerAction.STOP: DeploymentKind.STOP, TriggerAction.START: DeploymentKind.START}


class Effects:
    """Carries out the actions."""

    def __init__(
        self,
        sealer: Sealer,
        new_id: Callable[[str], str],
        notices: Notices,
        hints: Hints,
        why_not_again: WhyNot = any_step,
    ) -> None:
        self._sealer = sealer
        self._new_id = new_id
        self._notices = notices
        self.hints = hints
        self._why_not_again = why_not_again

    def carry_out(self, effect: Effect) -> Done | LeftOut | Later:
        """Does what the firing's action says. Raises what the request of a person would."""
        action = effect.firing.action
        if action is TriggerAction.CREATE:
            return self._create(effect)
        if action is TriggerAction.PREVIEW:
            return Done(self.hints.hint(effect.tx, effect.trigger, effect.event, effect.asked.now))
        environment = self._environment(effect)
        if environment is None:
            return LeftOut("the environment is gone")
        if action is TriggerAction.NOTIFY:
            return self._notify(effect, environment)
        if action is TriggerAction.DESTROY:
            return self._destroy(effect, environment)
        if environment.state in _GONE:
            return LeftOut(f"the environment is {_words(environment.state)}")
        if action is TriggerAction.UPDATE:
            return self._update(effect, environment)
        if action is TriggerAction.EXTEND:
            return self._extend(effect, environment)
        return self._switch(effect, environment)

    def _environment(self, effect: Effect) -> Environment | None:
        known = effect.firing.environment_id
        found = None if known is None else effect.tx.environments.get(known)
        return None if found is None or found.managed_by is not None else found

    def _create(self, effect: Effect) -> Done | LeftOut | Later:
        written = effect.trigger.definition
        there = there_already(effect.tx, effect.principal, written, effect.firing.environment)
        if there is not None:
            return there
        request = CreateEnvironment(
            name=effect.firing.environment,
            template=written.template,
            parameters=self._parameters(effect, None),
            ttl=None if written.ttl is None else format_duration(written.ttl),
        )
        new_id = self._new_id("env")
        done = effects.create(effect.tx, effect.principal, request, new_id, effect.asked, effect.verdicts, self._sealer)
        return Done(f"created {done.environment.name}", done.deployment_id, done.environment.id)

    def _update(self, effect: Effect, environment: Environment) -> Done:
        given = self._parameters(effect, environment)
        request = UpdateEnvironment(parameters=given or None)
        done = effects.update(
            effect.tx,
            effect.principal,
            environment,
            request,
            effect.asked,
            effect.verdicts,
            self._sealer,
            self._why_not_again,
        )
        return _queued("updated", done)

    def _destroy(self, effect: Effect, environment: Environment) -> Done | LeftOut:
        check_role(effect.tx, effect.principal, Action.ENVIRONMENT_DESTROY, environment)
        if environment.state in ENDED:
            return LeftOut(f"the environment is {_words(environment.state)} already")
        done = effects.destroy(effect.tx, effect.principal, environment, effect.asked)
        if done.deployment_id != effect.asked.id:
            return LeftOut("the environment is being destroyed already")
        return _queued("destroyed", done)

    def _switch(self, effect: Effect, environment: Environment) -> Done | LeftOut:
        action = effect.firing.action
        if environment.state is _THERE[action]:
            return LeftOut(f"the environment is {_words(environment.state)} already")
        if environment.state is State.FAILED:
            return LeftOut("the environment has failed, and is left as it is")
        done = switch(effect.tx, effect.principal, environment, _SWITCHES[action], effect.asked)
        return _queued("stopped" if action is TriggerAction.STOP else "started", done)

    def _extend(self, effect: Effect, environment: Environment) -> Done | LeftOut:
        by = effect.trigger.definition.by
        check_extendable(effect.tx, effect.principal, environment)
        if environment.deadline is None or by is None:
            return LeftOut("the environment has no deadline")
        asked = effect.asked
        changed = extend_to(effect.tx, environment, later(environment.deadline, by), asked.by, asked.now)
        return Done(f"extended {environment.name} to {changed.deadline:%Y-%m-%d %H:%M} UTC")

    def _notify(self, effect: Effect, environment: Environment) -> Done:
        check_role(effect.tx, effect.principal, Action.ENVIRONMENT_READ, environment)
        values = values_of(effect.event, environment)
        try:
            notice = resolve_text(effect.trigger.definition.message, values)
        except Unresolved as error:
            raise InvalidInput(str(error)) from error
        self._notices.notify(effect.tx, environment, notice, effect.asked.now)
        return Done(f"told of {environment.name}")

    def _parameters(self, effect: Effect, environment: Environment | None) -> dict[str, Any]:
        try:
            found = resolve_all(effect.trigger.definition.parameters, values_of(effect.event, environment))
        except Unresolved as error:
            raise InvalidInput(str(error)) from error
        assert isinstance(found, dict)
        return found


def there_already(tx: Transaction, principal: Principal, trigger: Trigger, name: str) -> LeftOut | Later | None:
    """What becomes of a `create` because of a living environment of that name; None: it is carried out.

    Then the name may still be taken: see `environments.service.drafting.check_name_free`.
    """
    there = tx.environments.named(name, sight=principal.sight)
    if there is None or there.state in ENDED:
        return None
    if there.state in _GONE:
        return Later(f"{there.name} is {_words(there.state)}, and its name isn't free yet")
    if there.owner == principal.owner and there.template == trigger.template:
        return LeftOut(f"{there.name} is there already")
    return None


def _queued(said: str, done: Accepted) -> Done:
    return Done(f"{done.environment.name} is to be {said}", done.deployment_id)


def _words(state: State) -> str:
    return "being destroyed" if state is State.DESTROYING else state.value.replace("_", " ")
