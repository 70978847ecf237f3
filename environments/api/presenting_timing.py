"""Maps rules, policies and holiday calendars to the models of the API."""

from datetime import datetime
from typing import Any

from environments.domain.environment import Environment
from environments.domain.timing import LONGEST_TITLE, HolidayCalendar, Policy
from environments.service.calendars import CalendarChange, CheckedRule
from environments.service.policies import PolicyChange
from environments.service.retiming import Preview
from environments.service.timing import TimedRule
from environments.wire import timing


def rule(found: TimedRule, next_moment: datetime | None) -> timing.RuleView:
    """A rule with its next moment."""
    return timing.RuleView(
        action=found.action, rule=str(found.rule), because=found.because, since=found.since, next_moment=next_moment
    )


def checked_rule(found: CheckedRule) -> timing.RuleCheckView:
    """What becomes of a rule that isn't set yet."""
    said = {} if found.problem is None else {"problem": found.problem.message, "hint": found.problem.hint}
    return timing.RuleCheckView(rule=found.rule, moments=tuple(found.moments), **said)


def policy(found: Policy) -> timing.PolicyView:
    """A policy."""
    return timing.PolicyView(**{name: getattr(found, name) for name in timing.PolicyView.model_fields})


def calendar(found: HolidayCalendar) -> timing.CalendarView:
    """A holiday calendar. A title that was stored without a limit of length is cut."""
    days = tuple(
        day if len(day.title) <= LONGEST_TITLE else day.model_copy(update={"title": day.title[:LONGEST_TITLE]})
        for day in found.days
    )
    return timing.CalendarView(name=found.name, days=days, set_by=found.set_by, set_at=found.set_at)


def policy_effect(change: PolicyChange) -> timing.PolicyEffectView:
    """What a policy moves."""
    shown = None if change.policy is None else policy(change.policy)
    return timing.PolicyEffectView(policy=shown, **_effect(change.preview, change.applied))


def calendar_effect(change: CalendarChange) -> timing.CalendarEffectView:
    """What a calendar moves."""
    return timing.CalendarEffectView(calendar=calendar(change.calendar), **_effect(change.preview, change.applied))


def _effect(preview: Preview, applied: bool) -> dict[str, Any]:
    moves = tuple(
        timing.MoveView(**_whose(move.environment), before=move.before, deadline=move.deadline, because=move.because)
        for move in preview.moves
    )
    switch_moves = tuple(
        timing.SwitchMoveView(
            **_whose(move.environment), action=move.action, before=move.before, at=move.at, because=move.because
        )
        for move in preview.switch_moves
    )
    return {
        "applied": applied,
        "concerned": preview.concerned,
        "computed": preview.computed,
        "moved": preview.moved,
        "moves": moves,
        "switches_moved": preview.switches_moved,
        "switch_moves": switch_moves,
    }


def _whose(environment: Environment) -> dict[str, Any]:
    return {"environment_id": environment.id, "environment": environment.name, "owner": environment.owner}
