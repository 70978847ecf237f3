"""What the calendar does to an environment, of all that decides it: computed anew with every change of these."""

from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any

from environments.domain.calendar_rule import parse_rule
from environments.domain.deadline import next_warning, warnings_before
from environments.domain.environment import Environment, EventType
from environments.domain.errors import InvalidLifetime, InvalidTemplate
from environments.domain.lifecycle import State
from environments.domain.template_parts import Template
from environments.domain.timing import Because, OwnRule, Source, TimedAction
from environments.service.cron import Holidays, rule_fault
from environments.service.storage.transaction import Transaction
from environments.service.timing import Due, TimedRule, Timing, deadline, last_switch, next_switch, upcoming

_NO_HOLIDAYS: Holidays = {}

_BY_RULES = (TimedAction.DESTROY, TimedAction.STOP, TimedAction.START)
"""What rules of a template do, each named like its key in `[lifetime]`."""


def timing_of(tx: Transaction, environment: Environment, template: Template | None) -> Timing:
    """Everything that decides what happens to it and when. `template` None: it can't be read any more."""
    rules = [_timed(rule) for rule in environment.rules]
    since = environment.template_rules_from or environment.created_at
    for action in _BY_RULES if template else ():
        assert template is not None
        for number, rule in enumerate(getattr(template.lifetime, action.value)):
            where = f"lifetime.{action.value}[{number}]"
            place = f"template {environment.template}, version {environment.template_version}, {where}"
            because = Because(source=Source.TEMPLATE, rule=str(rule), place=place)
            rules.append(TimedRule(action, rule, since, because))
    chosen = None
    if environment.set_deadline is not None:
        because = environment.set_because or Because(source=Source.UNKNOWN)
        chosen = Due(environment.set_deadline, TimedAction.DESTROY, because)
    return Timing(
        environment.rules_from or environment.created_at,
        chosen,
        environment.maximum_deadline,
        rules,
        warnings=_warnings(environment, template),
    )


def timed(
    tx: Transaction, environment: Environment, template: Template | None, now: datetime, **changes: Any
) -> dict[str, Any]:
    """The changes, and the deadline, warnings and the next stop or start that follow from them, as columns.

    A deadline that moves is warned of again.
    """
    changed = environment.model_copy(update=changes)
    timing = timing_of(tx, changed, template)
    due = deadline(timing, _NO_HOLIDAYS)
    at, because = (None, None) if due is None else (due.at, due.because)
    warned = _warned(environment, template, at, now)
    switch = _switch_columns(timing, _switches_from(changed))
    return {**changes, "deadline": at, "deadline_because": because, **warned, **switch}


def switched(tx: Transaction, environment: Environment, now: datetime) -> dict[str, Any]:
    """The columns that say that stops and starts by the calendar are done with up to now."""
    timing = timing_of(tx, environment, read_template(tx, environment))
    return {"switches_from": now, **_switch_columns(timing, now)}


def switches(tx: Transaction, environment: Environment, now: datetime) -> Due | None:
    """The stop or start that should hold now by the calendar, and isn't done with; None: none."""
    timing = timing_of(tx, environment, read_template(tx, environment))
    return last_switch(timing, _NO_HOLIDAYS, _switches_from(environment), now)


def _switch_columns(timing: Timing, after: datetime) -> dict[str, Any]:
    due = next_switch(timing, _NO_HOLIDAYS, after)
    return {"switch_at": due and due.at, "switch_action": due and due.action}


def _switches_from(environment: Environment) -> datetime:
    return environment.switches_from or environment.created_at


def warning_after(environment: Environment, template: Template | None, moment: datetime) -> datetime | None:
    """When the owner is warned of the present deadline after a moment; None: not any more."""
    if environment.deadline is None:
        return None
    planned = warnings_before(environment.deadline, environment.created_at, _notices(template))
    return next((at for at in planned if at > moment), None)


def next_moments(tx: Transaction, environment: Environment, now: datetime, count: int) -> list[Due]:
    """The next moments at which the calendar does something to it, at most `count`, in order.

    Stops of what is stopped by then, and starts of what runs, are left out. A stop or a start that waits for the end of
    a deployment comes first, with its moment in the past.
    """
    timing = timing_of(tx, environment, read_template(tx, environment))
    waiting = last_switch(timing, _NO_HOLIDAYS, _switches_from(environment), now)
    runs = environment.state not in (State.STOPPING, State.STOPPED)
    first = []
    if waiting is not None and waiting.action is (TimedAction.STOP if runs else TimedAction.START):
        first, runs = [waiting], not runs
    after = now - timedelta(microseconds=1) if waiting is None else now
    return list(islice(chain(first, upcoming(timing, _NO_HOLIDAYS, after, runs=runs)), count))


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


def _notices(template: Template | None) -> tuple[timedelta, ...] | None:
    return None if template is None else template.lifetime.warn


def _warned(environment: Environment, template: Template | None, at: datetime | None, now: datetime) -> dict[str, Any]:
    """Whether and when the owner is warned of a deadline `at`, as columns."""
    if at is None:
        return {"warned": False, "warn_at": None}
    if at != environment.deadline:
        first = next_warning(at, environment.created_at, _notices(template), since=now)
        return {"warned": False, "warn_at": first}
    if environment.warn_at is not None and environment.warn_at <= now:
        return {}  # it is due at this very moment
    later = warning_after(environment, template, now)
    if later is None and not environment.warned and _notices(template) != ():
        later = environment.warn_at or next_warning(at, environment.created_at, _notices(template), since=now)
    return {"warn_at": later}


def _warnings(environment: Environment, template: Template | None) -> list[Due]:
    """The warnings of its deadline that are still to come."""
    first, end = environment.warn_at, environment.deadline
    if first is None or end is None:
        return []
    notices = _notices(template)
    planned = warnings_before(end, environment.created_at, notices)
    found = []
    for at in [first, *(moment for moment in planned if moment > first)]:
        because = Because(source=Source.DEFAULT)
        if notices is not None and end - at in notices:
            place = f"template {environment.template}, version {environment.template_version}, "
            because = Because(source=Source.TEMPLATE, place=f"{place}lifetime.warn[{notices.index(end - at)}]")
        found.append(Due(at, TimedAction.WARN, because))
    return found


def _timed(own: OwnRule) -> TimedRule:
    because = Because(source=Source.ENVIRONMENT, rule=own.rule, by=own.by)
    return TimedRule(own.action, parse_rule(own.rule), own.since, because)
