"""Rules, policies, holiday calendars, and what an edit of them moves, as tables."""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from environments.cli.tables import table
from environments.domain.deadline import format_duration
from environments.domain.timing import Because
from environments.moments import moment
from environments.timing_words import WHAT, reason
from environments.timing_words import effect as what_moves
from environments.wire.timing import CalendarView, EffectView, PolicyView, RuleCheckView, RuleView


def rule_lines(found: Sequence[RuleView], zone: tzinfo) -> Iterator[str]:
    """Rules, and the next moment of each."""
    rows = [
        (
            rule.rule,
            f"it {WHAT[rule.action]}",
            moment(rule.next_moment, zone) if rule.next_moment else "never",
            rule.because.place or "its own",
            rule.because.by,
        )
        for rule in found
    ]
    yield from table(("RULE", "WHAT", "NEXT MOMENT", "OF", "SET BY"), rows)


def moment_lines(found: RuleCheckView, zone: tzinfo) -> Iterator[str]:
    """The next moments of a rule that isn't set yet."""
    yield from (
        table(("NEXT MOMENTS",), [(moment(at, zone),) for at in found.moments])
        if found.moments
        else [f"{found.rule} never fires outside the days that it leaves out."]
    )


def policy_lines(found: Sequence[PolicyView], zone: tzinfo) -> Iterator[str]:
    """A line for each rule and maximum."""
    rows = []
    for policy in found:
        name = f"{policy.scope.value} {policy.name}"
        if policy.maximum is not None:
            maximum = f"maximum {format_duration(policy.maximum)}"
            rows.append((name, maximum, policy.set_by, moment(policy.set_at, zone)))
        rows += [
            (name, f"{rule.rule}: it {WHAT[rule.action]}", rule.by, moment(rule.since, zone)) for rule in policy.rules
        ]
    yield from table(("FOR", "SAYS", "SET BY", "SINCE"), rows)


def calendar_lines(found: Sequence[CalendarView], zone: tzinfo) -> Iterator[str]:
    """A line for each calendar."""
    rows = [
        (
            calendar.name,
            str(len(calendar.days)),
            f"{calendar.days[0].day} to {calendar.days[-1].day}",
            calendar.set_by,
            moment(calendar.set_at, zone),
        )
        for calendar in found
    ]
    yield from table(("NAME", "DAYS", "FROM", "SET BY", "SET AT"), rows)


def effect_lines(effect: EffectView, zone: tzinfo) -> Iterator[str]:
    """What an edit moves, or would move: deadlines, then next stops and starts."""
    yield _moves(effect, effect.moved, "deadline")
    if effect.moves:
        rows = [
            (move.environment, move.owner, _then(move.before, zone), _then(move.deadline, zone), _why(move.because))
            for move in effect.moves
        ]
        yield from table(("NAME", "OWNER", "DEADLINE", "BECOMES", "WHY"), rows)
        yield from _more(effect.moved, len(effect.moves))
    if not effect.switches_moved:
        return
    yield _moves(effect, effect.switches_moved, "next stop or start")
    switches = [
        (
            move.environment,
            move.owner,
            move.action.value,
            _then(move.before, zone),
            _then(move.at, zone),
            _why(move.because),
        )
        for move in effect.switch_moves
    ]
    yield from table(("NAME", "OWNER", "WHAT", "WAS", "BECOMES", "WHY"), switches)
    yield from _more(effect.switches_moved, len(effect.switch_moves))


def _moves(effect: EffectView, count: int, noun: str) -> str:
    said = what_moves(effect.applied, count, noun, effect.concerned, effect.computed)
    return f"{said}:" if count else f"{said}."


def _then(at: datetime | None, zone: tzinfo) -> str:
    return moment(at, zone) if at else "never"


def _why(because: Because | None) -> str:
    return reason(because) if because else ""


def _more(count: int, shown: int) -> Iterator[str]:
    if count > shown:
        yield f"and {count - shown} more"
