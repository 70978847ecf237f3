"""Rules, policies, holiday calendars, and what an edit of them moves, as tables."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from environments.cli.tables import table
from environments.domain.deadline import format_duration
from environments.moments import moment
from environments.timing_words import WHAT, reason
from environments.wire.timing import CalendarView, EffectView, PolicyView, RuleView


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
    """What an edit moves, or would move."""
    would = "" if effect.applied else "would "
    more = "" if effect.computed == effect.concerned else f", of the first {effect.computed}"
    if not effect.moved:
        yield f"It {would}move{'' if would else 's'} no deadline of {effect.concerned} environments{more}."
        return
    yield f"It {would}move{'' if would else 's'} {effect.moved} deadlines of {effect.concerned} environments{more}:"
    rows = [
        (
            move.environment,
            move.owner,
            moment(move.before, zone) if move.before else "never",
            moment(move.deadline, zone) if move.deadline else "never",
            reason(move.because) if move.because else "",
        )
        for move in effect.moves
    ]
    yield from table(("NAME", "OWNER", "DEADLINE", "BECOMES", "WHY"), rows)
    if effect.moved > len(effect.moves):
        yield f"and {effect.moved - len(effect.moves)} more"
