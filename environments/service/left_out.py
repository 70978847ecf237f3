"""What a rule or a person says will happen to an environment, and won't: each moment with what prevents it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from heapq import merge
from itertools import islice
from zoneinfo import ZoneInfo

from environments.domain.deadline import LONGEST
from environments.domain.timing import Because, Obstacle, Prevented, TimedAction
from environments.service.cron import Holidays, moments, zone_fault
from environments.service.timing import Due, TimedRule, Timing, deadline, every_switch

_NO_HOLIDAYS: Holidays = {}

_MOST_SWITCHES = 1000
"""Stops and starts that are looked at for those without effect."""


@dataclass(frozen=True)
class LeftOut:
    """Something that doesn't happen at a moment (UTC)."""

    at: datetime
    action: TimedAction
    because: Because
    prevented: Prevented


def left_out(timing: Timing, holidays: Holidays, after: datetime, count: int) -> list[LeftOut]:
    """The first `count` moments after one (UTC) that are left out, in order."""
    end = deadline(timing, holidays)
    each: list[Iterator[LeftOut]] = [islice(_of(rule, timing, holidays, after, end), count) for rule in timing.rules]
    each.append(_chosen(timing, after, end))
    return list(islice(merge(*each, key=lambda found: found.at), count))


def without_effect(timing: Timing, holidays: Holidays, after: datetime, *, runs: bool) -> Iterator[LeftOut]:
    """Stops of what is stopped by then, and starts of what runs, after a moment (UTC), in order. `runs`: it does then.

    It looks at the next `_MOST_SWITCHES` stops and starts: rules that take turns each minute leave none out, for ever.
    """
    end = deadline(timing, holidays)
    for due in islice(every_switch(timing, holidays, after), _MOST_SWITCHES):
        if end is not None and due.at > end.at:
            return
        if due.action is (TimedAction.STOP if runs else TimedAction.START):
            runs = not runs
        else:
            obstacle = Obstacle.RUNNING if runs else Obstacle.STOPPED
            yield LeftOut(due.at, due.action, due.because, Prevented(obstacle=obstacle))


def kept_from(timing: Timing, holidays: Holidays, after: datetime, obstacle: Obstacle) -> Iterator[LeftOut]:
    """All stops and starts after a moment (UTC), in order: the obstacle is in the way of each."""
    end = deadline(timing, holidays)
    for due in every_switch(timing, holidays, after):
        if end is not None and due.at > end.at:
            return
        yield LeftOut(due.at, due.action, due.because, Prevented(obstacle=obstacle))


def _of(rule: TimedRule, timing: Timing, holidays: Holidays, after: datetime, end: Due | None) -> Iterator[LeftOut]:
    reached = after
    for begin, until in sorted(_spans(rule, timing, holidays, after, end)):
        begins, ends = max(begin, reached), until
        if begins >= ends:
            continue
        for at in moments(rule.rule, begins, _NO_HOLIDAYS):
            if at > ends:
                break
            prevented = _obstacle(rule, at, timing, holidays, end)
            if prevented is not None:
                yield LeftOut(at, rule.action, rule.because, prevented)
        reached = ends


def _spans(
    rule: TimedRule, timing: Timing, holidays: Holidays, after: datetime, end: Due | None
) -> Iterator[tuple[datetime, datetime]]:
    """The only times that can have moments which are left out. A rule may have millions between them."""
    destroys = rule.action is TimedAction.DESTROY
    yield after, max(rule.since, timing.counts_from) if destroys else rule.since
    if timing.pin is not None:
        yield timing.pin.since, timing.pin.end
    if zone_fault(rule.rule.zone) is None:
        zone = ZoneInfo(rule.rule.zone)
        soon, late = (after - timedelta(days=2)).date(), (after + LONGEST).date()
        for day in {day for name in rule.rule.without for day in holidays.get(name, ()) if soon <= day <= late}:
            begin = datetime.combine(day, time(), zone).astimezone(UTC)
            yield begin - timedelta(hours=2), begin + timedelta(hours=27)
    if end is not None:
        yield end.at, datetime.max.replace(tzinfo=UTC)


def _obstacle(rule: TimedRule, at: datetime, timing: Timing, holidays: Holidays, end: Due | None) -> Prevented | None:
    day = at.astimezone(ZoneInfo(rule.rule.zone)).date()
    for name in rule.rule.without:
        if day in holidays.get(name, ()):
            return Prevented(obstacle=Obstacle.HOLIDAY, name=name)
    if at <= rule.since:
        return Prevented(obstacle=Obstacle.SET_LATER, until=rule.since)
    if rule.action is TimedAction.DESTROY and at <= timing.counts_from:
        return Prevented(obstacle=Obstacle.EXTENSION, until=timing.counts_from)
    return _pinned(timing, at) or _destroyed_before(at, end)


def _chosen(timing: Timing, after: datetime, end: Due | None) -> Iterator[LeftOut]:
    due = timing.set_deadline
    if due is None or due.at <= after:
        return
    prevented = _pinned(timing, due.at) or _destroyed_before(due.at, end)
    if prevented is not None:
        yield LeftOut(due.at, due.action, due.because, prevented)


def _pinned(timing: Timing, at: datetime) -> Prevented | None:
    pin = timing.pin
    if pin is None or not pin.since < at < pin.end:
        return None
    return Prevented(obstacle=Obstacle.PIN, by=pin.by, reason=pin.reason, until=pin.end)


def _destroyed_before(at: datetime, end: Due | None) -> Prevented | None:
    if end is None or at <= end.at:
        return None
    return Prevented(obstacle=Obstacle.DEADLINE, until=end.at)
