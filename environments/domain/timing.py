"""What decides when the calendar does something to an environment, as it is stored and shown."""

from datetime import date, datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

MAXIMUM_NOTICE = timedelta(days=1)
"""How long an environment that is there lives at least after a policy set or lowered a maximum."""

UNPIN_NOTICE = timedelta(hours=1)
"""How long an environment lives at least after its pin was removed."""


MOST_DAYS = 5000
"""Days of a holiday calendar."""

LONGEST_TITLE = 200
"""Characters of a holiday's title."""


class TimedAction(StrEnum):
    """What the calendar does."""

    DESTROY = "destroy"
    STOP = "stop"
    START = "start"
    WARN = "warn"


class Source(StrEnum):
    """Who or what decides that something happens."""

    LIFETIME = "lifetime"
    PERSON = "person"
    TEMPLATE = "template"
    ENVIRONMENT = "environment"
    OWNER_POLICY = "owner_policy"
    TEMPLATE_POLICY = "template_policy"
    PIN = "pin"
    MAXIMUM = "maximum"
    DEFAULT = "default"
    """What holds where a template says nothing."""
    UNKNOWN = "unknown"
    """Decided by a version of the service that didn't record why."""


class Because(BaseModel):
    """Why something happens.

    `rule` is the text of a rule of the calendar; `place` says where it stands, such as `template web, version 3,
    lifetime.destroy[0]`; `by` is the person who set it.
    """

    model_config = ConfigDict(frozen=True)

    source: Source
    rule: str = ""
    place: str = ""
    by: str = ""


class PastAction(StrEnum):
    """What happened to an environment. The first ones are deployments of the same kinds."""

    CREATE = "create"
    UPDATE = "update"
    REPAIR = "repair"
    PROMOTE = "promote"
    STOP = "stop"
    START = "start"
    DESTROY = "destroy"
    EXTEND = "extend"
    """Somebody moved the deadline."""
    DEADLINE = "deadline"
    """Another edit moved the deadline."""
    RULES = "rules"
    PIN = "pin"
    UNPIN = "unpin"
    TRANSFER = "transfer"
    """It got another owner."""
    SHARE = "share"
    UNSHARE = "unshare"
    WARN = "warn"
    NOT_SWITCHED = "not_switched"
    """A stop or a start was due, and could not be done."""
    HELD = "held"
    """A destroy by the clock was due, and is held."""


class OwnRule(BaseModel):
    """A rule of one environment, which somebody set at a moment (UTC): earlier moments of it don't count."""

    model_config = ConfigDict(frozen=True)

    action: TimedAction
    rule: str
    since: datetime
    by: str


class Pin(BaseModel):
    """Keeps an environment until `end` (UTC), whatever rules say, and never past its maximum unless `past_maximum`.

    `by` is who set it, at `since`; `reason` is theirs.
    """

    model_config = ConfigDict(frozen=True)

    end: datetime
    by: str
    reason: str
    since: datetime
    past_maximum: bool = False


class Scope(StrEnum):
    """Which environments a policy applies to: those of an owner, or those made from a template."""

    OWNER = "owner"
    TEMPLATE = "template"


class Policy(BaseModel):
    """Rules and a maximum lifetime for all environments of an owner (`name`) or of a template.

    `maximum` counts from an environment's creation. One that is older than `maximum_since` lives for at least
    `MAXIMUM_NOTICE` from then. `set_by` is the admin who last set it.
    """

    model_config = ConfigDict(frozen=True)

    scope: Scope
    name: str
    rules: tuple[OwnRule, ...] = ()
    maximum: timedelta | None = None
    maximum_since: datetime | None = None
    set_by: str
    set_at: datetime

    def latest(self, created: datetime) -> datetime | None:
        """The latest deadline of an environment that was created then; None: it sets no maximum."""
        if self.maximum is None or self.maximum_since is None:
            return None
        latest = created + self.maximum
        return latest if created >= self.maximum_since else max(latest, self.maximum_since + MAXIMUM_NOTICE)


class Holiday(BaseModel):
    """A day of a holiday calendar; `title` says which one."""

    model_config = ConfigDict(frozen=True)

    day: date
    title: str = ""


class HolidayCalendar(BaseModel):
    """Days that rules can leave out, in order. `set_by` is the admin who last set it."""

    model_config = ConfigDict(frozen=True)

    name: str
    days: tuple[Holiday, ...]
    set_by: str
    set_at: datetime


class Obstacle(StrEnum):
    """Why something doesn't happen at a moment that a rule or a person names."""

    HOLIDAY = "holiday"
    PIN = "pin"
    EXTENSION = "extension"
    SET_LATER = "set_later"
    DEADLINE = "deadline"
    STOPPED = "stopped"
    RUNNING = "running"
    FAILED = "failed"
    PROMOTION = "promotion"


class Prevented(BaseModel):
    """What keeps something from happening.

    `holiday`: the day is in the holiday calendar `name`. `pin`: `by` keeps it until `until`, for `reason`.
    `extension`: rules count from `until` on, since somebody moved the deadline. `set_later`: the rule applies since
    `until`. `deadline`: it is destroyed before, at `until`. `stopped`: it is stopped by then; `running`: it runs by
    then. `failed`: it has failed, and not in a stop or a start. `promotion`: a new version of it awaits promotion.
    """

    model_config = ConfigDict(frozen=True)

    obstacle: Obstacle
    name: str = ""
    by: str = ""
    reason: str = ""
    until: datetime | None = None
