"""What the calendar does to an environment, of all that decides it: computed anew with every change of these."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from environments.domain.calendar_rule import CalendarRule, parse_rule
from environments.domain.deadline import next_warning, warnings_before
from environments.domain.environment import Environment, EventType
from environments.domain.errors import CalvinverseError, InvalidLifetime
from environments.domain.suggesting import MOST_SUGGESTED_FROM, suggestion
from environments.domain.template_parts import Template
from environments.domain.timing import Because, OwnRule, Pin, Policy, Scope, Source, TimedAction
from environments.service.cron import Holidays, rule_fault
from environments.service.storage.transaction import Transaction
from environments.service.timing import Due, TimedRule, Timing, deadline, last_switch, next_switch
from environments.service.timing_facts import Facts
from environments.service.timing_facts import read_template as read_template  # exported from here

_SOURCES = {Scope.OWNER: Source.OWNER_POLICY, Scope.TEMPLATE: Source.TEMPLATE_POLICY}
_NEW_DEADLINE: dict[str, Any] = {"warned_at": None, "hold_id": None, "hold_released": False}
"""Columns that belong to one deadline, as they are for another one."""

NOT_COMPUTED = (CalvinverseError, ValueError, LookupError, OverflowError, OSError)
"""What is raised when the deadline can't be computed of what is stored, such as a zone that isn't known any more."""


def timing_of(facts: Facts, environment: Environment, template: Template | None) -> Timing:
    """Everything that decides what the calendar does to it. `template` None: it can't be read any more."""
    rules = [_timed(rule) for rule in environment.rules]
    since = environment.template_rules_from or environment.created_at
    for action, number, rule in template.lifetime.rules() if template else ():
        where = f"lifetime.{action.value}[{number}]"
        place = f"template {environment.template}, version {environment.template_version}, {where}"
        because = Because(source=Source.TEMPLATE, rule=str(rule), place=place)
        rules.append(TimedRule(action, rule, since, because))
    policies = facts.policies(environment)
    for policy in policies:
        rules.extend(_of_policy(policy, environment.created_at))
    chosen = None
    if environment.set_deadline is not None:
        because = environment.set_because or Because(source=Source.UNKNOWN)
        chosen = Due(environment.set_deadline, TimedAction.DESTROY, because)
    counts_from = environment.rules_from or environment.created_at
    warnings = _warnings(environment, template)
    return Timing(counts_from, chosen, _maximum(environment, policies), rules, environment.pin, warnings)


def holidays_of(facts: Facts, timing: Timing) -> Holidays:
    """The holiday calendars that its rules name."""
    return facts.holidays({name for rule in timing.rules for name in rule.rule.without})


def stored_timing(tx: Transaction | Facts, environment: Environment) -> tuple[Timing, Holidays]:
    """What decides about an environment as it is stored, with the holidays that its rules name."""
    facts = tx if isinstance(tx, Facts) else Facts(tx)
    timing = timing_of(facts, environment, facts.template(environment))
    return timing, holidays_of(facts, timing)


def timed(
    tx: Transaction | Facts, environment: Environment, template: Template | None, now: datetime, **changes: Any
) -> dict[str, Any]:
    """The changes, and the deadline, warnings and the next stop or start that follow from them, as columns.

    A deadline that moves is warned of again.
    """
    facts = tx if isinstance(tx, Facts) else Facts(tx)
    changed = environment.model_copy(update=changes)
    timing = timing_of(facts, changed, template)
    if template is None:
        timing = _as_known(changed, timing)
    holidays = holidays_of(facts, timing)
    due = deadline(timing, holidays)
    at, because = (None, None) if due is None else (due.at, due.because)
    latest = None if timing.maximum is None else timing.maximum.at
    return {
        **changes,
        "deadline": at,
        "deadline_because": because,
        "deadline_moves": environment.deadline_moves + (at != environment.deadline and now != environment.created_at),
        "maximum_deadline": latest,
        **({} if at == environment.deadline else _NEW_DEADLINE),
        **_warned(environment, template, at, now),
        **_switch_columns(timing, holidays, switches_from(changed)),
    }


def retimed(
    tx: Transaction | Facts, environment: Environment, template: Template | None, now: datetime, **changes: Any
) -> dict[str, Any]:
    """Likewise, for an edit at that moment. No edit moves a deadline, a stop or a start into the past.

    Rules count from now on instead.
    """
    columns = timed(tx, environment, template, now, **changes)
    at = columns["deadline"]
    if at is not None and at < now and not (environment.deadline is not None and environment.deadline <= at):
        begins = changes.get("rules_from") or environment.rules_from or now
        changes = {**changes, "rules_from": max(begins, now)}
        columns = timed(tx, environment, template, now, **changes)
    at = columns["switch_at"]
    if at is not None and at < now and not (environment.switch_at is not None and environment.switch_at <= at):
        columns = timed(tx, environment, template, now, **{**changes, "switches_from": now})
    return columns


def switched(tx: Transaction | Facts, environment: Environment, now: datetime) -> dict[str, Any]:
    """The columns that say that stops and starts by the calendar are done with up to now."""
    timing, holidays = stored_timing(tx, environment)
    next_one = _switch_columns(timing, holidays, now)
    return {"switches_from": now, **next_one, "switch_again_at": None, "switch_attempts": 0}


def switches(tx: Transaction | Facts, environment: Environment, now: datetime) -> Due | None:
    """The stop or start that should hold now by the calendar, and isn't done with; None: none."""
    timing, holidays = stored_timing(tx, environment)
    return last_switch(timing, holidays, switches_from(environment), now)


def _switch_columns(timing: Timing, holidays: Holidays, after: datetime) -> dict[str, Any]:
    due = next_switch(timing, holidays, after)
    return {"switch_at": due and due.at, "switch_action": due and due.action}


def switches_from(environment: Environment) -> datetime:
    """Stops and starts by the calendar up to that moment (UTC) are done with."""
    return environment.switches_from or environment.created_at


def warning_after(environment: Environment, template: Template | None, moment: datetime) -> datetime | None:
    """When the owner is warned of the present deadline after a moment; None: not any more."""
    if environment.deadline is None:
        return None
    planned = warnings_before(environment.deadline, environment.created_at, _notices(template))
    return next((at for at in planned if at > moment), None)


def provable(tx: Transaction | Facts, environment: Environment) -> Due | None:
    """The deadline that follows from what is stored now; None: none does. Raises one of `NOT_COMPUTED`."""
    return deadline(*stored_timing(tx, environment))


def pinned_only(environment: Environment, template: Template | None, now: datetime, pin: Pin) -> dict[str, Any]:
    """The columns of one that ends with a pin, whatever else is stored: of what can't be computed."""
    because = Because(source=Source.PIN, by=pin.by)
    warned = _warned(environment, template, pin.end, now)
    moves = environment.deadline_moves + 1
    columns = {"pin": pin, "deadline": pin.end, "deadline_because": because, "deadline_moves": moves}
    return {**columns, **_NEW_DEADLINE, **warned}


def tell_moved(
    tx: Transaction, before: Environment, now: datetime, why: str, changes: dict[str, Any], by: str = ""
) -> None:
    """Writes the event of a deadline that `changes` (columns of the environment) move; `why` ends its sentence.

    `by` is who made the edit, if that was a person.
    """
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
            **({"by": by} if by else {}),
        },
    )


def _told(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def new_rule(action: TimedAction, text: str, now: datetime, by: str) -> OwnRule:
    """A rule that somebody sets now. Raises `InvalidLifetime` for what is no rule that ever fires."""
    rule = parse_rule(text)
    if (wrong := rule_fault(rule)) is not None:
        raise InvalidLifetime(f"The rule {text[:60]!r} can't be used: {wrong}.")
    return OwnRule(action=action, rule=str(rule), since=now, by=by)


def check_calendars(tx: Transaction, rules: Iterable[CalendarRule | OwnRule]) -> None:
    """Raises `InvalidLifetime` for a rule that names a holiday calendar which isn't there."""
    for rule in rules:
        parsed = parse_rule(rule.rule) if isinstance(rule, OwnRule) else rule
        for name in parsed.without:
            if tx.calendars.get(name) is None:
                known = tx.calendars.names(MOST_SUGGESTED_FROM)
                meant = suggestion(name, known)
                raise InvalidLifetime(
                    f"The rule {str(parsed)[:60]!r} names the holiday calendar {name!r}, which isn't there."
                    f"{' ' + meant if meant else ''}",
                    hint="See the calendars with `calvinverse calendar list`; an admin sets one.",
                )


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


def _as_known(environment: Environment, timing: Timing) -> Timing:
    """Without its template, which can't be read, the deadline that a rule of it has set still counts."""
    at, because = environment.deadline, environment.deadline_because
    if at is None or because is None or because.source is not Source.TEMPLATE or at <= timing.counts_from:
        return timing
    chosen = timing.set_deadline
    if chosen is not None and chosen.at <= at:
        return timing
    return replace(timing, set_deadline=Due(at, TimedAction.DESTROY, because))


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


def _of_policy(policy: Policy, created: datetime) -> Iterable[TimedRule]:
    place = f"{policy.scope.value} {policy.name}"
    for own in policy.rules:
        because = Because(source=_SOURCES[policy.scope], rule=own.rule, place=place, by=own.by)
        yield TimedRule(own.action, parse_rule(own.rule), max(own.since, created), because)


def _maximum(environment: Environment, policies: Iterable[Policy]) -> Due | None:
    found = []
    if environment.template_maximum is not None:
        found.append(Due(environment.template_maximum, TimedAction.DESTROY, Because(source=Source.MAXIMUM)))
    for policy in policies:
        if (latest := policy.latest(environment.created_at)) is not None:
            place = f"{policy.scope.value} {policy.name}"
            because = Because(source=_SOURCES[policy.scope], place=place, by=policy.set_by)
            found.append(Due(latest, TimedAction.DESTROY, because))
    return min(found, key=lambda due: due.at, default=None)


def longest(tx: Transaction, environment: Environment, maximum: timedelta | None) -> timedelta | None:
    """How long a new environment may live at most: by its template (`maximum`), and by policies."""
    latest = [policy.latest(environment.created_at) for policy in Facts(tx).policies(environment)]
    found = [moment - environment.created_at for moment in latest if moment is not None]
    return min([*found, *([maximum] if maximum is not None else [])], default=None)


def active_pin(environment: Environment, now: datetime) -> Pin | None:
    """The pin that has an effect at that moment."""
    return environment.pin if environment.pin is not None and environment.pin.end > now else None
