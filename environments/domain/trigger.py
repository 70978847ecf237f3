"""Triggers: rules that turn a received event into an action, and what one of them does: a firing."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_serializer, model_validator

from environments.domain.durations import Duration
from environments.domain.preview import PreviewRule
from environments.domain.received_event import GIT, NewReceivedEvent, Source
from environments.domain.trigger_values import OPEN, Unresolved, Values, as_text, resolve

LONGEST_NAME = 63
"""Characters of a trigger's name."""

LONGEST_TEXT = 1000
"""Characters of a condition's text, and of a message."""

MOST_CONDITIONS = 20
"""Conditions of a trigger."""

MOST_CHOICES = 100
"""Values that one condition lists."""


class TriggerAction(StrEnum):
    """What a trigger does."""

    CREATE = "create"
    UPDATE = "update"
    DESTROY = "destroy"
    STOP = "stop"
    START = "start"
    EXTEND = "extend"
    NOTIFY = "notify"
    PREVIEW = "preview"


Scalar = str | int | float | bool
_KEYS = {"not": "not_", "starts_with": "starts_with", "matches": "matches", "exists": "exists"}


class Condition(BaseModel):
    """What a field must be: exactly one of these.

    It is written as a value (`equals`), a list of values (`any_of`), or a table with one of the keys `not` (a value or
    a list), `starts_with`, `matches` (`*` stands for any characters) and `exists`. Of a field that is a list one entry
    has to be so; for `not` none may be. Values are compared as texts, so that `12` and `"12"` are the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    equals: Scalar | None = None
    any_of: tuple[Scalar, ...] | None = Field(default=None, min_length=1, max_length=MOST_CHOICES)
    not_: Scalar | tuple[Scalar, ...] | None = None
    starts_with: str | None = Field(default=None, max_length=LONGEST_TEXT)
    matches: str | None = Field(default=None, max_length=LONGEST_TEXT)
    exists: bool | None = None
    _refers: bool = PrivateAttr(default=False)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str | int | float | bool):
            return {"equals": value}
        if isinstance(value, list | tuple):
            return {"any_of": value}
        if isinstance(value, Mapping):
            return {_KEYS.get(key, key): part for key, part in value.items()}
        return value

    @model_validator(mode="after")
    def _one(self) -> "Condition":
        if len([part for part in self.__dict__.values() if part is not None]) != 1:
            raise ValueError("it must be a value, a list, or a table with one of not, starts_with, matches and exists")
        texts = [text for part in self.__dict__.values() for text in _each(part)]
        self._refers = any(isinstance(text, str) and OPEN in text for text in texts)
        return self

    @model_serializer
    def _written(self) -> Any:
        if self.equals is not None:
            return self.equals
        if self.any_of is not None:
            return list(self.any_of)
        for key, name in _KEYS.items():
            part = getattr(self, name)
            if part is not None:
                return {key: list(part) if isinstance(part, tuple) else part}
        raise TypeError("a condition has one part")

    @property
    def refers(self) -> bool:
        """Whether its texts have references in them."""
        return self._refers

    def holds(self, field: Any, values: Values) -> bool:
        """Whether a field (None: the event has none of that name) is so. Raises `Unresolved`."""
        there = (
            [] if field is None else [as_text(one) for one in field] if isinstance(field, tuple) else [as_text(field)]
        )
        if self.exists is not None:
            return bool([one for one in there if one]) is self.exists
        if self.equals is not None:
            return _value(self.equals, values) in there
        if self.any_of is not None:
            return bool({_value(one, values) for one in self.any_of}.intersection(there))
        if self.not_ is not None:
            unwanted = self.not_ if isinstance(self.not_, tuple) else (self.not_,)
            return not {_value(one, values) for one in unwanted}.intersection(there)
        if self.starts_with is not None:
            start = _value(self.starts_with, values)
            return any(one.startswith(start) for one in there)
        # Stars in a value that a reference stands for are stars of a stranger: they stand for themselves.
        pieces = [_value(piece, values) for piece in (self.matches or "").split("*")]
        return any(like(one, pieces) for one in there)


def _each(part: Any) -> tuple[Any, ...]:
    return part if isinstance(part, tuple) else (part,)


def _value(value: Scalar, values: Values) -> str:
    return as_text(resolve(value, values) if isinstance(value, str) else value)


def like(text: str, pieces: list[str]) -> bool:
    """Whether the text consists of these pieces with anything between them: a pattern that was split at its stars."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, *middle, last = pieces
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


class Trigger(BaseModel):
    """A trigger as it is written.

    `kinds`: which of the things that can happen at its source count; empty: all. `template`: what `create` and
    `preview` make environments from; of other actions, only environments made from it. `environment`: what `create`
    calls the new one. `for` is how long an environment has to be idle. `repository` and `webhook` say whose events
    count. `environments.domain.trigger_rules` says what has to be given for what.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(max_length=LONGEST_NAME)
    on: Source
    kinds: tuple[str, ...] = Field(default=(), max_length=10)
    when: dict[str, Condition] = Field(default_factory=dict, max_length=MOST_CONDITIONS)
    action: TriggerAction
    by: Duration | None = None
    template: str = Field(default="", max_length=100)
    environment: str = Field(default="", max_length=200)
    ttl: Duration | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    message: str = Field(default="", max_length=LONGEST_TEXT)
    for_: Duration | None = Field(default=None, alias="for")
    cpu: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    bytes: int | None = Field(default=None, ge=0)
    heartbeat: bool = False
    over: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    webhook: str = Field(default="", max_length=100)
    repository: str = Field(default="", max_length=300)
    preview: PreviewRule | None = None

    def written(self) -> dict[str, Any]:
        """Its definition as JSON, without what is as it would be anyway."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


_NOTHING = Values()


class Match:
    """A trigger counts for an event."""

    def __bool__(self) -> bool:
        return True


class WhyNot:
    """A trigger doesn't count for an event; `reason` is a sentence without a stop."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __bool__(self) -> bool:
        return False


def judge(trigger: Trigger, event: NewReceivedEvent, values: Values | None) -> Match | WhyNot:
    """Whether a trigger counts for an event. Reads nothing but its arguments.

    Without `values`, as far as that is the same for every environment: conditions with references are left out.
    """
    if trigger.on is not event.source:
        return WhyNot(f"it is for {trigger.on.value}, not for {event.source.value}")
    if trigger.kinds and event.kind not in trigger.kinds:
        return WhyNot(f"it is for {' and '.join(trigger.kinds)}, not for {event.kind}")
    if trigger.webhook and trigger.webhook != event.origin:
        return WhyNot(f"it is for the webhook {trigger.webhook}, not for {event.origin}")
    if event.source in GIT and trigger.repository.lower() != as_text(event.fields.get("repository")).lower():
        return WhyNot(f"it is for the repository {trigger.repository}")
    if event.source is Source.COST and trigger.over is not None and not _is_over(trigger.over, event):
        return WhyNot(f"the cost isn't over {trigger.over:g}")
    for name, condition in trigger.when.items():
        if values is None and condition.refers:
            continue
        try:
            holds = condition.holds(event.fields.get(name), values or _NOTHING)
        except Unresolved as error:
            return WhyNot(f"the condition on {name} can't be checked: {str(error).rstrip('.')}")
        if not holds:
            return WhyNot(f"its condition on {name} doesn't hold")
    return Match()


def _is_over(budget: float, event: NewReceivedEvent) -> bool:
    try:
        return float(as_text(event.fields.get("amount", ""))) > budget
    except ValueError:
        return False


class FiringState(StrEnum):
    """What has become of a firing.

    `left_out`: there was nothing to do. `refused`: it may not be done. `failed`: it was tried for as long as events are
    kept, or can't ever be done.
    """

    PENDING = "pending"
    DONE = "done"
    LEFT_OUT = "left_out"
    REFUSED = "refused"
    FAILED = "failed"


class PlacedTrigger(BaseModel):
    """A trigger where it stands: on an environment, alone, or (with an id `template/<template>/<name>`) in a template.

    It acts for `owner`.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    owner: str
    definition: Trigger
    environment_id: str | None = None
    created_by: str = ""
    created_at: datetime | None = None
    paused: bool = False

    @property
    def from_template(self) -> bool:
        """Whether it stands in a template."""
        return self.id.startswith(FROM_TEMPLATE)


FROM_TEMPLATE = "template/"
"""What the ids of triggers begin with that stand in templates."""


def template_trigger_id(template: str, name: str) -> str:
    """The id of a trigger that stands in a template."""
    return f"{FROM_TEMPLATE}{template}/{name}"


def of_template(
    template: str, definition: Trigger, owner: str = "", environment_id: str | None = None
) -> PlacedTrigger:
    """A trigger that stands in a template, as it stands on an environment of that owner."""
    return PlacedTrigger(
        id=template_trigger_id(template, definition.name),
        name=definition.name,
        owner=owner,
        definition=definition,
        environment_id=environment_id,
    )


class Firing(BaseModel):
    """What one trigger does to one environment because of one event.

    `environment` is its name, also of one that doesn't exist yet. `due_at`: when it is tried next. `deployment_id`: the
    deployment that it queued. `hops`: how many firings have led to its event.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    event_id: str
    trigger_id: str
    trigger_name: str
    owner: str
    environment_id: str | None = None
    environment: str = ""
    action: TriggerAction
    state: FiringState = FiringState.PENDING
    due_at: datetime | None = None
    attempts: int = 0
    reason: str = ""
    deployment_id: str | None = None
    hops: int = 0
    created_at: datetime
    done_at: datetime | None = None
