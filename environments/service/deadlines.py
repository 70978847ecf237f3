"""The deadline of an environment, of all that sets one: computed anew with every change of these."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from environments.domain.calendar_rule import parse_rule
from environments.domain.environment import Environment, EventType
from environments.domain.errors import InvalidLifetime, InvalidTemplate
from environments.domain.template_parts import Template
from environments.domain.timing import Because, OwnRule, Source, TimedAction
from environments.service.cron import Holidays, rule_fault
from environments.service.storage.transaction import Transaction
from environments.service.timing import Due, TimedRule, Timing, deadline, upcoming

_NO_HOLIDAYS: Holidays = {}


def timing_of(tx: Transaction, environment: Environment, template: Template | None) -> Timing:
    """Everything that decides when the environment is destroyed. `template` None: it can't be read any more."""
    rules = [_timed(rule) for rule in environment.rules]
    since = environment.template_rules_from or environment.created_at
    for number, rule in enumerate(template.lifetime.destroy if template else ()):
        place = f"template {environment.template}, version {environment.template_version}, lifetime.destroy[{number}]"
        because = Because(source=Source.TEMPLATE, rule=str(rule), place=place)
        rules.append(TimedRule(TimedAction.DESTROY, rule, since, because))
    chosen = None
    if environment.set_deadline is not None:
        because = environment.set_because or Because(source=Source.UNKNOWN)
        chosen = Due(environment.set_deadline, TimedAction.DESTROY, because)
    return Timing(environment.rules_from or environment.created_at, chosen, environment.maximum_deadline, rules)


def timed(tx: Transaction, environment: Environment, template: Template | None, **changes: Any) -> dict[str, Any]:
    """The changes, and the deadline that follows from them, as columns of the environment.

    A deadline that moves is warned of again.
    """
    due = deadline(timing_of(tx, environment.model_copy(update=changes), template), _NO_HOLIDAYS)
    at, because = (None, None) if due is None else (due.at, due.because)
    again: dict[str, Any] = {} if at == environment.deadline else {"warned": False}
    return {**changes, "deadline": at, "deadline_because": because, **again}


def next_moments(tx: Transaction, environment: Environment, now: datetime, count: int) -> list[Due]:
    """The next moments at which the calendar does something to it, at most `count`, in order."""
    timing = timing_of(tx, environment, read_template(tx, environment))
    return list(islice(upcoming(timing, _NO_HOLIDAYS, now - timedelta(microseconds=1)), count))


def tell_moved(tx: Transaction, before: Environment, now: datetime, why: str, changes: dict[str, Any]) -> None:
    """Writes the event of a deadline that `changes` (columns of the environment) move; `why` ends its sentence."""
    after = before.model_copy(update=changes)
    if after.deadline == before.deadline:
        return
    old, new = (_told(moment) for moment in (before.deadline, after.deadline))
    tx.events.add(
        EventType.ENVIRONMENT_DEADLINE,
        before.id,
        now,
        message=f"the deadline of {before.name} moved from {old} to {new}: {why}",
        data={
            "before": before.deadline.isoformat() if before.deadline else None,
            "deadline": after.deadline.isoformat() if after.deadline else None,
            "because": after.deadline_because.model_dump(mode="json") if after.deadline_because else None,
        },
    )


def _told(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def read_template(tx: Transaction, environment: Environment) -> Template | None:
    """The template of the environment's version; None if it is gone, or this version of the service can't read it."""
    bundle = tx.templates.bundle(environment.bundle)
    try:
        return None if bundle is None else bundle.template()
    except InvalidTemplate:
        return None


def new_rule(action: TimedAction, text: str, now: datetime, by: str) -> OwnRule:
    """A rule that somebody gives an environment now. Raises `InvalidLifetime` for what is no rule that ever fires."""
    rule = parse_rule(text)
    if (wrong := rule_fault(rule)) is not None:
        raise InvalidLifetime(f"The rule {text[:60]!r} can't be used: {wrong}.")
    return OwnRule(action=action, rule=str(rule), since=now, by=by)


def _timed(own: OwnRule) -> TimedRule:
    because = Because(source=Source.ENVIRONMENT, rule=own.rule, by=own.by)
    return TimedRule(own.action, parse_rule(own.rule), own.since, because)
