"""Carries out firings: the effect and the record that it was done are one transaction, so it is done exactly once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from environments.domain.errors import CalvinverseError, Forbidden, NotAllowedNow, StorageError, UnknownEnvironment
from environments.domain.received_event import GIT, VOIDED_BY, ReceivedEvent
from environments.domain.trigger import (
    FROM_TEMPLATE,
    Firing,
    FiringState,
    PlacedTrigger,
    TriggerAction,
    WhyNot,
    judge,
    of_template,
)
from environments.event_words import happened
from environments.service.authorization import entry_of
from environments.service.checking import Checks, Verdicts
from environments.service.enqueue import DeploymentRequest
from environments.service.storage.transaction import Storage, Transaction
from environments.service.trigger_effects import Done, Effect, Effects, Later, LeftOut
from environments.service.trigger_owners import acting_for
from environments.service.webhook_using import UNUSABLE, check_use

log = structlog.get_logger()

GIVEN_UP_AFTER = timedelta(days=30)
"""How long a firing is tried that may not be carried out yet."""

_LONGEST_WAIT = 60.0
"""Seconds between two tries."""

_MOST_FAULTS = 10
"""How often a firing is tried again after a fault of the service itself."""

_REPLACED = frozenset({TriggerAction.UPDATE, TriggerAction.DESTROY, TriggerAction.STOP, TriggerAction.START})
"""Actions of which a newer firing takes the place of those that wait."""

ALWAYS_TOLD = frozenset({TriggerAction.NOTIFY, TriggerAction.PREVIEW})
"""Actions for which it doesn't matter whether the event is still true."""

_ASKED_FIRST = frozenset({TriggerAction.UPDATE, TriggerAction.DESTROY, TriggerAction.STOP})
"""Actions before which the source is asked whether the event is still true."""


class Sources(Protocol):
    """Asks sources what is true now."""

    def still(self, event: ReceivedEvent) -> bool | None:
        """Whether what the event says is still so; None: nobody can tell now, and the event counts."""
        ...


class NoSources:
    """Nobody can be asked."""

    def still(self, event: ReceivedEvent) -> bool | None:
        """None."""
        return None


class FiringRuns:
    """Carries out firings that are due."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        checks: Checks,
        effects: Effects,
        sources: Sources,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self._checks = checks
        self._effects = effects
        self.sources = sources

    def due(self, limit: int) -> list[str]:
        """Ids of firings that are due."""
        with self._storage.read() as tx:
            return tx.firings.due(self._clock(), limit)

    def run(self, firing_id: str) -> bool:
        """Carries out a firing, or says why not; False if it isn't due any more. Raises `StorageError`."""
        with self._storage.read() as tx:
            firing = tx.firings.get(firing_id)
            event = None if firing is None else tx.received.get(firing.event_id)
        if firing is None:
            return False
        if event is not None and self._outdated(firing, event):
            return True
        try:
            verdicts = Verdicts(self._checks, firing.owner)
            return verdicts.settle(lambda: self._carry_out(firing_id, verdicts))
        except StorageError as error:
            if type(error) is not StorageError:  # all others say that the database can't be used at all
                raise
            log.error("triggers.fault", firing=firing_id, exc_info=error)
            return self._put_off(firing_id, None)
        except CalvinverseError as error:
            return self._put_off(firing_id, error)
        except Exception as error:  # of one firing, so others go on
            log.error("triggers.fault", firing=firing_id, exc_info=error)
            return self._put_off(firing_id, None)

    def _outdated(self, firing: Firing, event: ReceivedEvent) -> bool:
        """Leaves out a firing whose event isn't true any more, as far as its source can be asked."""
        if event.source not in GIT or firing.action not in _ASKED_FIRST:
            return False
        if self.sources.still(event) is not False:
            return False
        with self._storage.write() as tx:
            if tx.firings.take(firing.id, self._clock()) is not None:
                self._end(tx, firing, FiringState.LEFT_OUT, f"{happened(event)}, and isn't so any more")
        return True

    def _carry_out(self, firing_id: str, verdicts: Verdicts) -> bool:
        now = self._clock()
        with self._storage.write() as tx:
            firing = tx.firings.take(firing_id, now)
            if firing is None:
                return False
            event = tx.received.get(firing.event_id)
            trigger = placed_trigger(tx, firing)
            why_not = _why_left_out(tx, firing, event, trigger)
            if why_not or event is None or trigger is None:
                self._end(tx, firing, FiringState.LEFT_OUT, why_not)
                return True
            try:
                principal = acting_for(tx, firing.owner, trigger, now)
            except Forbidden as error:
                self._end(tx, firing, FiringState.REFUSED, error.message)
                return True
            check_use(tx, principal, trigger.definition, event)
            # Owned by whoever acts, and told as the trigger's: the calendar's own deployments have a rule instead.
            asked = DeploymentRequest(
                self._new_id("dep"),
                principal.owner,
                reason_of(firing, event),
                now,
                by_machine=True,
                hops=firing.hops + 1,
            )
            effect = Effect(tx, principal, trigger, firing, event, asked, verdicts)
            outcome = self._effects.carry_out(effect)
            match outcome:
                case Done(said, deployment_id, environment_id):
                    self._end(
                        tx, firing, FiringState.DONE, said, deployment_id=deployment_id, environment_id=environment_id
                    )
                case LeftOut(why):
                    self._end(tx, firing, FiringState.LEFT_OUT, why)
                case Later(why):
                    self._again(tx, firing, why, now)
        return True

    def _put_off(self, firing_id: str, error: CalvinverseError | None) -> bool:
        """Writes what became of a firing whose effect was rolled back. `error` None: a fault of the service."""
        now = self._clock()
        with self._storage.write() as tx:
            firing = tx.firings.take(firing_id, now)
            if firing is None:
                return False
            if error is None:
                why = "a fault of the service, which its log tells"
                if firing.attempts + 1 >= _MOST_FAULTS:
                    self._end(tx, firing, FiringState.FAILED, why)
                else:
                    self._again(tx, firing, why, now)
            elif isinstance(error, NotAllowedNow) or error.transient:
                self._again(tx, firing, error.message, now)
            else:
                self._end(tx, firing, FiringState.REFUSED, error.message)
                if UNUSABLE in error.details and firing.environment_id is None:
                    tx.firings.change(firing.id, environment="")  # the name was made of what they may not see
                self._audit(tx, firing, error, now)
        return True

    def _audit(self, tx: Transaction, firing: Firing, error: CalvinverseError, now: datetime) -> None:
        """A refusal for want of rights is told as those of requests are."""
        trigger = placed_trigger(tx, firing)
        if trigger is None or not isinstance(error, Forbidden | UnknownEnvironment):
            return
        try:
            principal = acting_for(tx, firing.owner, trigger, now)
        except Forbidden:
            return
        entry = entry_of(principal, f"environment:{firing.action.value}")
        tx.audit.add(replace(entry, outcome="refused", code=error.code, reason=error.message))

    def _again(self, tx: Transaction, firing: Firing, why: str, now: datetime) -> None:
        if now - firing.created_at > GIVEN_UP_AFTER:
            self._end(tx, firing, FiringState.FAILED, f"{why.rstrip('.')}; it was tried for 30 days")
            return
        wait = min(2.0 ** min(firing.attempts, 10), _LONGEST_WAIT)
        due = now + timedelta(seconds=wait)
        tx.firings.change(firing.id, attempts=firing.attempts + 1, due_at=due, reason=why)

    def _end(
        self,
        tx: Transaction,
        firing: Firing,
        state: FiringState,
        reason: str,
        *,
        deployment_id: str | None = None,
        environment_id: str | None = None,
    ) -> None:
        more = {} if environment_id is None else {"environment_id": environment_id}
        tx.firings.change(
            firing.id,
            state=state,
            reason=reason,
            due_at=None,
            done_at=self._clock(),
            deployment_id=deployment_id,
            attempts=firing.attempts + 1,
            **more,
        )


def reason_of(firing: Firing, event: ReceivedEvent) -> str:
    """Why a deployment was asked for: `trigger NAME: pull request acme/shop#12 was closed (evt-…)`."""
    return f"trigger {firing.trigger_name}: {happened(event)} ({event.id})"


def placed_trigger(tx: Transaction, firing: Firing) -> PlacedTrigger | None:
    """The trigger of a firing as it is now; None if it is gone."""
    environment = None if firing.environment_id is None else tx.environments.get(firing.environment_id)
    found = None if firing.trigger_id.startswith(FROM_TEMPLATE) else tx.triggers.get(firing.trigger_id)
    if found is not None or environment is None:
        return found
    bundle = tx.templates.bundle(environment.bundle)
    written = () if bundle is None else bundle.template().triggers
    standing = (of_template(environment.template, one, environment.owner) for one in written)
    return next((one for one in standing if one.id == firing.trigger_id), None)


def _why_left_out(tx: Transaction, firing: Firing, event: ReceivedEvent | None, trigger: PlacedTrigger | None) -> str:
    """Why there is nothing to do; empty: it isn't known that there is nothing."""
    if event is None:
        return "the event isn't kept any more"
    if trigger is None:
        return "the trigger is gone"
    if trigger.paused:
        return "the trigger is paused"
    if trigger.definition.action is not firing.action:
        return f"the trigger was changed: its action is {trigger.definition.action.value} now"
    found = judge(trigger.definition, event, None)
    if isinstance(found, WhyNot):
        return f"the trigger was changed: {found.reason}"
    if firing.action in _REPLACED and firing.environment_id is not None:
        newer = tx.firings.newer(firing, event.at)
        if newer is not None:
            return f"replaced by {newer}"
    return why_void(tx, event) if firing.action not in ALWAYS_TOLD else ""


def why_void(tx: Transaction, event: ReceivedEvent) -> str:
    """Why an event has no effect although triggers count for it; empty: it may have one."""
    later = tx.received.later(event, VOIDED_BY.get((event.source, event.kind), frozenset()))
    return "" if later is None else f"{later} tells something later of the same"
