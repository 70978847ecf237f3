"""What the calendar will do to an environment, what it won't, and what each rule says."""

from dataclasses import replace
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice

from environments.domain.environment import Environment
from environments.domain.holds import Hold
from environments.domain.lifecycle import SWITCHES, State
from environments.domain.timing import Obstacle, TimedAction
from environments.service.cron import Holidays
from environments.service.deadlines import stored_timing, switches_from
from environments.service.left_out import LeftOut, kept_from, left_out, without_effect
from environments.service.storage.deployments import newest_of
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

LOOK_BACK = timedelta(days=7)
"""How far back it is told what did not happen."""


def next_moments(tx: Transaction, environment: Environment, now: datetime, count: int) -> list[Due]:
    """The next moments at which the calendar does something to it, at most `count`, in order.

    Stops of what is stopped by then, and starts of what runs, are left out, and all of both while its state prevents
    them. A stop or a start that waits for the end of a deployment comes first, with its moment in the past.
    """
    timing, holidays = stored_timing(tx, environment)
    if _obstacle(tx, environment) is not None:
        timing = replace(timing, rules=[rule for rule in timing.rules if rule.action is TimedAction.DESTROY])
    first, runs, after = _begin(tx, environment, timing, holidays, now)
    found = upcoming(timing, holidays, after, runs=runs)
    return list(islice(merge(first, found, key=lambda due: due.at), count))


def _begin(
    tx: Transaction, environment: Environment, timing: Timing, holidays: Holidays, now: datetime
) -> tuple[list[Due], bool, datetime]:
    """The stop or start that waits or is tried again, whether it runs after that, and when moments begin to count."""
    waiting = last_switch(timing, holidays, switches_from(environment), now)
    after = now - timedelta(microseconds=1) if waiting is None else now
    runs = environment.state not in (State.STOPPING, State.STOPPED)
    if waiting is not None and waiting.action is (TimedAction.STOP if runs else TimedAction.START):
        return [waiting], not runs, after
    if waiting is None and (again := _again(tx, environment, timing, holidays, now)) is not None:
        return [again], again.action is TimedAction.START, after
    return [], runs, after


def _obstacle(tx: Transaction, environment: Environment) -> Obstacle | None:
    """What of its present state keeps the calendar from stopping and starting it, until a person changes that."""
    if environment.awaiting_promotion:
        return Obstacle.PROMOTION
    newest = newest_of(tx.deployments, environment.id)
    if environment.state is State.FAILED and (newest is None or newest.kind not in SWITCHES):
        return Obstacle.FAILED
    return None


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
    """What it is not destroyed, stopped or started by: the first `count` moments of its life since `LOOK_BACK` ago.

    Stops and starts without effect are those from now on; events tell of earlier ones.
    """
    timing, holidays = stored_timing(tx, environment)
    found = left_out(timing, holidays, max(now - LOOK_BACK, environment.created_at), count)
    obstacle = _obstacle(tx, environment)
    if obstacle is not None:
        idle = kept_from(timing, holidays, now, obstacle)
    else:
        _, runs, after = _begin(tx, environment, timing, holidays, now)
        idle = without_effect(timing, holidays, after, runs=runs)
    return list(islice(merge(found, islice(idle, count), key=lambda left: left.at), count))


def next_of_each(tx: Transaction, environment: Environment, now: datetime) -> list[tuple[TimedRule, datetime | None]]:
    """The rules that apply to it, each with its next moment (UTC) as if there were no others."""
    timing, holidays = stored_timing(tx, environment)
    return [(rule, next(moments_of(rule, timing, holidays, now), None)) for rule in timing.rules]


def held_by(tx: Transaction, environment: Environment) -> Hold | None:
    """The open hold that keeps the clock from destroying it at its present deadline."""
    if environment.hold_id is None or environment.hold_released:
        return None
    return tx.holds.get(environment.hold_id)
