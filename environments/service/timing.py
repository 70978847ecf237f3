"""What the calendar will do to an environment: one computation that deadlines, stops, starts and explanations read.

Nothing in here reads a clock. A moment of a rule counts from when the rule was made and from when the environment's
rules last began to count anew, not from now: so what became due while no process was running is still due.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import takewhile

from environments.domain.calendar_rule import CalendarRule
from environments.domain.timing import Because, Pin, Source, TimedAction
from environments.service.cron import Holidays, moments


@dataclass(frozen=True)
class Due:
    """Something that happens at a moment (UTC)."""

    at: datetime
    action: TimedAction
    because: Because
    attempt: int = 1
    """Above 1: so many minus one have failed, and it is tried again then."""


@dataclass(frozen=True)
class TimedRule:
    """A rule that applies to an environment since a moment (UTC): earlier ones of its moments don't count."""

    action: TimedAction
    rule: CalendarRule
    since: datetime
    because: Because


@dataclass(frozen=True)
class Timing:
    """Everything that decides what the calendar does to an environment. All moments are UTC.

    `set_deadline` is a lifetime's or a person's; `counts_from` is when rules began to count: at creation, and anew with
    each extension.
    """

    counts_from: datetime
    set_deadline: Due | None = None
    maximum: Due | None = None
    rules: Sequence[TimedRule] = ()
    pin: Pin | None = None
    warnings: Sequence[Due] = ()
    """Those of the present deadline that are still to come, in order."""


def deadline(timing: Timing, holidays: Holidays) -> Due | None:
    """When it is destroyed, and why; None: never by the clock. The earliest of all that say so.

    A pin leaves out moments of rules until its end; a lifetime that ends meanwhile ends with the pin.
    """
    due = _unpinned(timing, holidays)
    pin, latest = timing.pin, timing.maximum
    if pin is not None:
        ends = Due(pin.end, TimedAction.DESTROY, Because(source=Source.PIN, by=pin.by))
        if due is not None and due.at < pin.end:
            due = ends
        if latest is not None and pin.past_maximum and latest.at < pin.end:
            latest = ends
    if latest is not None and (due is None or due.at > latest.at):
        due = latest
    return due


def upcoming(timing: Timing, holidays: Holidays, after: datetime, *, runs: bool) -> Iterator[Due]:
    """All that will happen after a moment (UTC), in order, until it is destroyed. `runs`: it does then.

    Stops and starts that a pin suspends are left out, and so are stops of what is stopped by then and starts of what
    runs. What comes at the same moment as the deadline comes before it.
    """
    end = deadline(timing, holidays)
    warnings = [due for due in timing.warnings if due.at > after]
    for due in merge(warnings, _switches(timing, holidays, after, runs=runs), key=lambda due: due.at):
        if end is not None and due.at > end.at:
            break
        yield due
    if end is not None:
        yield end


def _switches(timing: Timing, holidays: Holidays, after: datetime, *, runs: bool) -> Iterator[Due]:
    """Stops and starts by turns. The moments between them are never made: a rule may have millions without effect."""
    while True:
        due = next_one(timing, holidays, TimedAction.STOP if runs else TimedAction.START, after)
        if due is None:
            return
        yield due
        # A start at the moment of a stop comes after it.
        after = due.at - timedelta(microseconds=1) if runs else due.at
        runs = not runs


def next_one(timing: Timing, holidays: Holidays, action: TimedAction, after: datetime) -> Due | None:
    """The first stop, or the first start, after a moment (UTC); None: no rule for it fires again."""
    rules = [rule for rule in timing.rules if rule.action is action]
    return _chosen((_first_of(rule, timing, holidays, after) for rule in rules), first=True)


def next_switch(timing: Timing, holidays: Holidays, after: datetime) -> Due | None:
    """The first stop or start after a moment (UTC); None: there is no rule for them that fires again."""
    return _chosen((_first_of(rule, timing, holidays, after) for rule in timing.rules), first=True)


def last_switch(timing: Timing, holidays: Holidays, after: datetime, until: datetime) -> Due | None:
    """The last stop or start after a moment and not after another one (UTC), so what should hold then; None: none.

    A stop and a start at the same moment: the start counts.
    """
    # Backwards in growing steps: a rule may have fired very often since, at most once in the first.
    back = timedelta(minutes=1)
    while True:
        begin = max(after, until - back)
        found = (
            due
            for rule in timing.rules
            for due in takewhile(lambda due: due.at <= until, _of(rule, timing, holidays, begin))
        )
        last = _chosen(found, first=False)
        if last is not None or begin == after:
            return last
        back *= 8


def every_switch(timing: Timing, holidays: Holidays, after: datetime) -> Iterator[Due]:
    """Each stop and start after a moment (UTC) with its rule, in order, whether or not it has an effect.

    Of those at the same moment stops come first.
    """
    each = [_of(rule, timing, holidays, after) for rule in timing.rules]
    return merge(*each, key=lambda due: (due.at, due.action is TimedAction.START))


def _first_of(rule: TimedRule, timing: Timing, holidays: Holidays, after: datetime) -> Due | None:
    return next(_of(rule, timing, holidays, after), None)


def _chosen(found: Iterable[Due | None], *, first: bool) -> Due | None:
    """The first or the last of these; of those at the same moment a start."""
    some = [due for due in found if due is not None]
    if first:
        return min(some, key=lambda due: (due.at, due.action is not TimedAction.START), default=None)
    return max(some, key=lambda due: (due.at, due.action is TimedAction.START), default=None)


def _unpinned(timing: Timing, holidays: Holidays) -> Due | None:
    found = [due for rule in timing.rules if (due := _first(rule, timing, holidays)) is not None]
    if timing.set_deadline is not None:
        found.append(timing.set_deadline)
    return min(found, key=lambda due: due.at, default=None)


def _first(rule: TimedRule, timing: Timing, holidays: Holidays) -> Due | None:
    if rule.action is not TimedAction.DESTROY:
        return None
    at = next(moments(rule.rule, _begin(rule, timing, timing.counts_from), holidays), None)
    return None if at is None else Due(at, rule.action, rule.because)


def moments_of(rule: TimedRule, timing: Timing, holidays: Holidays, after: datetime) -> Iterator[datetime]:
    """The moments of one rule after a moment (both UTC), as far as they count."""
    begin = max(after, timing.counts_from) if rule.action is TimedAction.DESTROY else after
    return moments(rule.rule, _begin(rule, timing, begin), holidays)


def _of(rule: TimedRule, timing: Timing, holidays: Holidays, after: datetime) -> Iterator[Due]:
    if rule.action is TimedAction.DESTROY:
        return
    for at in moments_of(rule, timing, holidays, after):
        yield Due(at, rule.action, rule.because)


def _begin(rule: TimedRule, timing: Timing, after: datetime) -> datetime:
    begin = max(rule.since, after)
    return begin if timing.pin is None else max(begin, timing.pin.end)
