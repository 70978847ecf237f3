"""Rules, pins, policies and holiday calendars in the API."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, PlainSerializer, WithJsonSchema

from environments.domain import shapes
from environments.domain.deadline import format_duration
from environments.domain.template_parts import MOST_RULES
from environments.domain.timing import MOST_DAYS, Because, Holiday, OwnRule, Scope, TimedAction
from environments.wire.fields import Duration, EnvironmentId, Moment, Request, Text, View, Word

ShownDuration = Annotated[
    timedelta,
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(shapes.DURATION),
]


class RuleRequest(Request):
    """A rule of the calendar, such as `0 19 * * 1-5 Europe/Amsterdam`, and what happens at its moments."""

    action: TimedAction = TimedAction.DESTROY
    rule: Word


class RuleCheckRequest(Request):
    """Rules that somebody is about to set."""

    rules: tuple[RuleRequest, ...] = Field(max_length=MOST_RULES)


class RuleCheckView(View):
    """A rule as it is read, and its next five moments (UTC) if it were set now; none: only on days that it leaves out.

    `problem`: why it can't be set; empty: it can.
    """

    rule: str
    moments: tuple[datetime, ...] = ()
    problem: str = ""
    hint: str = ""


class RuleView(View):
    """A rule that applies to an environment, where it stands, and its next moment (UTC; None: it has none)."""

    action: TimedAction
    rule: str
    because: Because
    since: datetime
    next_moment: datetime | None = None


class PinRequest(Request):
    """Keeps an environment for `ttl` from now or until `until`, whatever rules say. `past_maximum`: admins only."""

    reason: Text
    ttl: Duration | None = None
    until: Moment | None = None
    past_maximum: bool = False


class PolicyRequest(Request):
    """Rules and a maximum lifetime, counted from creation."""

    rules: tuple[RuleRequest, ...] = Field(default=(), max_length=MOST_RULES)
    maximum: Duration | None = None


class PolicyView(View):
    """A policy for all environments of an owner (`name`), or for all that are made from a template."""

    scope: Scope
    name: str
    rules: tuple[OwnRule, ...] = ()
    maximum: ShownDuration | None = None
    maximum_since: datetime | None = None
    set_by: str
    set_at: datetime


class MoveView(View):
    """A deadline that an edit moves: from `before` to `deadline` (UTC; None: never)."""

    environment_id: EnvironmentId
    environment: str
    owner: str
    before: datetime | None = None
    deadline: datetime | None = None
    because: Because | None = None


class SwitchMoveView(View):
    """A next stop or start (`action`) that an edit moves: from `before` to `at` (UTC; None: none)."""

    environment_id: EnvironmentId
    environment: str
    owner: str
    action: TimedAction
    before: datetime | None = None
    at: datetime | None = None
    because: Because | None = None


class EffectView(View):
    """What an edit moves: it concerns `concerned` environments; of the `computed` first ones `moved` deadlines move.

    `moves` has the first of them, the soonest first. `switches_moved` and `switch_moves` are the same of their next
    stops and starts. `applied` False: nothing was stored.
    """

    applied: bool
    concerned: int
    computed: int
    moved: int
    moves: tuple[MoveView, ...] = ()
    switches_moved: int = 0
    switch_moves: tuple[SwitchMoveView, ...] = ()


class PolicyEffectView(EffectView):
    """What setting or removing a policy moves; without a policy it is removed."""

    policy: PolicyView | None = None


class CalendarRequest(Request):
    """The days that a holiday calendar has from now on."""

    days: tuple[Holiday, ...] = Field(min_length=1, max_length=MOST_DAYS)


class CalendarView(View):
    """A holiday calendar: rules with `except NAME` leave out its days."""

    name: str
    days: tuple[Holiday, ...]
    set_by: str
    set_at: datetime


class CalendarEffectView(EffectView):
    """What setting a holiday calendar moves."""

    calendar: CalendarView
