"""What the calendar will do to an environment, what it won't, and what each rule says."""

from datetime import datetime, timedelta
from heapq import merge
from itertools import islice

from environments.domain.environment import Environment
from environments.domain.lifecycle import State
from environments.domain.timing import TimedAction
from environments.service.cron import Holidays
from environments.service.deadlines import holidays_of, switches_from, timing_of
from environments.service.left_out import LeftOut, left_out
from environments.service.storage.transaction import Transaction
from environments.service.switch_retries import retry
from environments.service.timing import (
    Due,
    TimedRule,
    Timing,
    deadline,
    last_switch,
    moments_of,
    next_switch,
    upcoming,
)
from environments.service.timing_facts import Facts, read_template

LOOK_BACK = timedelta(days=7)
"""How far back it is told what did not happen."""


def next_moments(tx: Transaction, environment: Environment, now: datetime, count: int) -> list[Due]:
    """The next moments at which the calendar does something to it, at most `count`, in order.

    Stops of what is stopped by then, and starts of what runs, are left out. A stop or a start that waits for the end of
    a deployment comes first, with its moment in the past.
    """
    facts = Facts(tx)
    timing = timing_of(facts, environment, read_template(tx, environment))
    holidays = holidays_of(facts, timing)
    waiting = last_switch(timing, holidays, switches_from(environment), now)
    runs = environment.state not in (State.STOPPING, State.STOPPED)
    first: list[Due] = []
    if waiting is not None and waiting.action is (TimedAction.STOP if runs else TimedAction.START):
        first, runs = [waiting], not runs
    elif waiting is None and (again := _again(tx, environment, timing, holidays, now)) is not None:
        first, runs = [again], again.action is TimedAction.START
    after = now - timedelta(microseconds=1) if waiting is None else now
    found = upcoming(timing, holidays, after, runs=runs)
    return list(islice(merge(first, found, key=lambda due: due.at), count))


def _again(tx: Transaction, environment: Environment, timing: Timing, holidays: Holidays, now: datetime) -> Due | None:
    """The stop or start that has failed and is tried again, unless something comes before."""
    again = retry(tx, environment, now)
    at = environment.switch_again_at
    if again is None or at is None:
        return None
    before = [due for due in (next_switch(timing, holidays, now), deadline(timing, holidays)) if due is not None]
    if any(due.at <= at for due in before):
        return None
    return Due(at, again.due.action, again.due.because, again.attempt)


def next_left_out(tx: Transaction, environment: Environment, now: datetime, count: int) -> list[LeftOut]:
    """What it is not destroyed, stopped or started by: the first `count` moments of its life since `LOOK_BACK` ago."""
    facts = Facts(tx)
    timing = timing_of(facts, environment, read_template(tx, environment))
    return left_out(timing, holidays_of(facts, timing), max(now - LOOK_BACK, environment.created_at), count)


def next_of_each(tx: Transaction, environment: Environment, now: datetime) -> list[tuple[TimedRule, datetime | None]]:
    """The rules that apply to it, each with its next moment (UTC) as if there were no others."""
    facts = Facts(tx)
    timing = timing_of(facts, environment, read_template(tx, environment))
    holidays = holidays_of(facts, timing)
    return [(rule, next(moments_of(rule, timing, holidays, now), None)) for rule in timing.rules]
