"""What decides when the calendar does something to an environment, as it is stored and shown."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


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


class OwnRule(BaseModel):
    """A rule of one environment, which somebody set at a moment (UTC): earlier moments of it don't count."""

    model_config = ConfigDict(frozen=True)

    action: TimedAction
    rule: str
    since: datetime
    by: str
