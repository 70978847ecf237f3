"""Edits of what decides about the time of one environment: its own rules, and its pin."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from environments.domain.calendar_rule import parse_rule
from environments.domain.deadline import check_deadline, later, parse_duration
from environments.domain.environment import Environment, EventType
from environments.domain.errors import InvalidInput, InvalidLifetime, NotAllowedNow, NotFound
from environments.domain.lifecycle import ENDED, State, way_on
from environments.domain.template_parts import MOST_RULES
from environments.domain.timing import UNPIN_NOTICE, Pin, TimedAction
from environments.service.authorization import NO_DEADLINE, Action, Principal, environment_to_change, may
from environments.service.deadlines import active_pin, check_calendars, new_rule, read_template, retimed, tell_moved
from environments.service.storage.transaction import Storage, Transaction

RULED = frozenset({TimedAction.DESTROY, TimedAction.STOP, TimedAction.START})
"""What a rule of an environment or of a policy may do."""


class TimeEdits:
    """Each edit computes the deadline again in its transaction, and an event tells when it moves."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def add_rule(self, principal: Principal, name: str, action: TimedAction, text: str) -> Environment:
        """Adds a rule, whose moments count from now on; one that is there already changes nothing.

        Raises `InvalidLifetime`, `InvalidInput` for one rule too many, `NotAllowedNow`.
        """
        now = self._clock()
        check_action(action)
        rule = new_rule(action, text, now, principal.owner)
        with self._storage.write() as tx:
            environment = self._to_edit(tx, principal, name, Action.ENVIRONMENT_RULES)
            if any((known.action, known.rule) == (rule.action, rule.rule) for known in environment.rules):
                return environment
            check_calendars(tx, (rule,))
            if len(environment.rules) >= MOST_RULES:
                raise InvalidInput(
                    f"Environment {environment.name!r} has {MOST_RULES} rules already.", hint="Remove one first."
                )
            why = f"{principal.owner} added the rule {rule.rule!r} ({action.value})"
            told = EventType.ENVIRONMENT_RULES, f"{why} to {environment.name}"
            return _edit(tx, environment, now, principal.owner, why, told, rules=(*environment.rules, rule))

    def remove_rule(self, principal: Principal, name: str, action: TimedAction, text: str) -> Environment:
        """Removes one of its own rules. Raises `NotFound`, `InvalidLifetime`, `NotAllowedNow`."""
        now = self._clock()
        check_action(action)
        wanted = str(parse_rule(text))
        with self._storage.write() as tx:
            environment = self._to_edit(tx, principal, name, Action.ENVIRONMENT_RULES)
            left = tuple(rule for rule in environment.rules if (rule.action, rule.rule) != (action, wanted))
            if len(left) == len(environment.rules):
                raise NotFound(
                    f"Environment {environment.name!r} has no rule {wanted!r} of its own to {action.value} it.",
                    hint=f"See its rules with `calvinverse env rule list {environment.name}`. "
                    "Those of its template and of policies can't be removed here; a pin suspends them.",
                )
            why = f"{principal.owner} removed the rule {wanted!r} ({action.value})"
            told = EventType.ENVIRONMENT_RULES, f"{why} from {environment.name}"
            return _edit(tx, environment, now, principal.owner, why, told, rules=left)

    def pin(
        self,
        principal: Principal,
        name: str,
        reason: str,
        *,
        ttl: str | None = None,
        until: datetime | None = None,
        past_maximum: bool = False,
    ) -> Environment:
        """Keeps it for a duration from now, or until a moment (UTC), in place of an earlier pin.

        Raises `InvalidLifetime` also for a pin past its maximum without `past_maximum`, which only an admin may give
        (`Forbidden`); `InvalidInput` without a reason; `NotAllowedNow`.
        """
        now = self._clock()
        if (ttl is None) == (until is None):
            raise InvalidLifetime("Give one of: how long from now, or until when.")
        if not reason.strip():
            raise InvalidInput("A pin needs a reason.", hint="Say why the environment has to stay.")
        with self._storage.write() as tx:
            environment = self._to_edit(tx, principal, name, Action.ENVIRONMENT_PIN)
            if past_maximum:
                may(tx, principal, Action.ENVIRONMENT_PIN_PAST_MAXIMUM, environment)
            end = until if until is not None else later(now, parse_duration(ttl or ""))
            latest, created = environment.maximum_deadline, environment.created_at
            maximum = None if latest is None or past_maximum else latest - created
            check_deadline(end, now=now, created=created, maximum=maximum)
            pin = Pin(end=end, by=principal.owner, reason=reason.strip(), since=now, past_maximum=past_maximum)
            why = f"{principal.owner} pinned it until {end:%Y-%m-%d %H:%M:%S %Z} ({pin.reason})"
            told = EventType.ENVIRONMENT_PINNED, f"{environment.name}: {why}"
            return _edit(tx, environment, now, principal.owner, why, told, pin=pin)

    def unpin(self, principal: Principal, name: str) -> Environment:
        """Ends its pin. It lives for at least `UNPIN_NOTICE` from now, unless the pin ends earlier.

        Stops and starts that the pin suspended aren't made up.

        Raises `NotAllowedNow` without a pin.
        """
        now = self._clock()
        with self._storage.write() as tx:
            environment = self._to_edit(tx, principal, name, Action.ENVIRONMENT_PIN)
            pin = active_pin(environment, now)
            if pin is None:
                raise NotAllowedNow(f"Environment {environment.name!r} isn't pinned.", hint="There is nothing to do.")
            counts: dict[str, Any] = {"rules_from": max(now, environment.rules_from or now), "switches_from": now}
            counts["switch_again_at"] = None
            free = retimed(tx, environment, read_template(tx, environment), now, pin=None, **counts)
            soon = free["deadline"] is not None and free["deadline"] < now + UNPIN_NOTICE
            left = pin.model_copy(update={"end": min(pin.end, now + UNPIN_NOTICE)}) if soon else None
            why = f"{principal.owner} removed the pin"
            told = EventType.ENVIRONMENT_UNPINNED, f"{why} of {environment.name}"
            return _edit(tx, environment, now, principal.owner, why, told, pin=left, **counts)

    def _to_edit(self, tx: Transaction, principal: Principal, name: str, action: Action) -> Environment:
        environment = environment_to_change(tx, principal, name, NO_DEADLINE)
        may(tx, principal, action, environment)
        if environment.state in ENDED or environment.state in (State.DESTROYING, State.DESTROY_FAILED):
            raise NotAllowedNow(
                f"Environment {environment.name!r} is {environment.state.value} already.",
                hint=way_on(environment.name, environment.state),
            )
        return environment


def check_action(action: TimedAction) -> None:
    """Raises `InvalidInput` for what a rule can't do."""
    if action not in RULED:
        known = ", ".join(sorted(one.value for one in RULED))
        raise InvalidInput(f"A rule can't {action.value} an environment.", hint=f"It can: {known}.")


def _edit(
    tx: Transaction,
    environment: Environment,
    now: datetime,
    by: str,
    why: str,
    told: tuple[EventType, str],
    **edit: Any,
) -> Environment:
    changes = retimed(tx, environment, read_template(tx, environment), now, **edit)
    tx.environments.change(environment.id, **changes)
    tx.events.add(told[0], environment.id, now, message=told[1], data={"by": by})
    tell_moved(tx, environment, now, why, changes, by)
    return environment.model_copy(update=changes)
