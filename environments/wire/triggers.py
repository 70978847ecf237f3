"""Triggers, what they did, and dry runs in the API."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from environments.domain import shapes
from environments.domain.received_event import MOST_FIELDS, FieldValue, Source
from environments.domain.trigger import FiringState, TriggerAction
from environments.wire.fields import DeploymentId, EnvironmentId, NoNul, Request, View, Word

TriggerId = Annotated[str, WithJsonSchema(shapes.TRIGGER_ID)]
ReceivedEventId = Annotated[str, WithJsonSchema(shapes.RECEIVED_EVENT_ID)]

MOST_HEADERS = 100
"""Headers of a recorded delivery."""

Definition = Annotated[dict[Word, Any], WithJsonSchema(shapes.TRIGGER)]
"""A trigger as its author writes it; docs/how-to/triggers.md has all keys."""


class TriggerState(StrEnum):
    """Whether a trigger acts. `stopped`: its owner may do nothing any more."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


class TriggerRequest(Request):
    """A new trigger, which acts for the caller."""

    definition: Definition


class TriggerChangeRequest(Request):
    """What becomes different of a trigger: its definition (by its owner), or whether it rests."""

    definition: Definition | None = None
    paused: bool | None = None


class FiringView(View):
    """What a trigger did, or will do (`pending`, at `due_at`), to one environment because of one received event.

    `reason` says why nothing was done, or why it is to be tried again. `environment_id` is null for one that doesn't
    exist yet.
    """

    id: str
    event_id: ReceivedEventId
    trigger_id: str
    trigger: str
    owner: str
    environment_id: EnvironmentId | None = None
    environment: str = ""
    action: TriggerAction
    state: FiringState
    due_at: datetime | None = None
    attempts: int = 0
    reason: str = ""
    deployment_id: DeploymentId | None = None
    created_at: datetime
    done_at: datetime | None = None


class TriggerView(View):
    """A trigger. It acts for `owner`, with the rights that they have when it fires.

    `environment`: the one that it stands on; empty: it stands alone. `template`: the one that it stands in, whose
    environments all have it; such a trigger acts for the owner of the environment. `reason`: why it is stopped.
    """

    id: str
    name: str
    owner: str
    environment_id: EnvironmentId | None = None
    environment: str = ""
    template: str = ""
    on: Source
    action: TriggerAction
    state: TriggerState
    reason: str = ""
    definition: dict[str, Any]
    created_by: str = ""
    created_at: datetime | None = None


class TriggerDetailsView(TriggerView):
    """A trigger with its newest firings, of those that the caller sees."""

    firings: tuple[FiringView, ...] = ()


class EventRequest(Request):
    """An event as a source would tell it. `environment`: the one that it is about, by name or id."""

    source: Source
    kind: Word
    origin: Word = ""
    subject: Word = ""
    fields: dict[Word, Annotated[str, Field(max_length=10_000), NoNul] | bool | int | float | list[Any]] = Field(
        default_factory=dict, max_length=4 * MOST_FIELDS
    )
    environment: Word | None = None


class DeliveryRequest(Request):
    """A delivery as it was recorded: to which webhook, its headers, and its body as JSON. It needs no signature."""

    webhook: Word
    headers: dict[Word, Annotated[str, Field(max_length=10_000), NoNul]] = Field(max_length=MOST_HEADERS)
    body: dict[Word, Any]


class TriggerTestRequest(Request):
    """Asks what would happen because of an event, or of a recorded delivery: exactly one is given.

    `only`: an environment, by name or id; nothing is said of others.
    """

    event: EventRequest | None = None
    delivery: DeliveryRequest | None = None
    only: Word | None = None


class _JudgedView(View):
    """A trigger, and the environment that it would act on."""

    trigger_id: str
    trigger: str
    owner: str
    environment_id: EnvironmentId | None = None
    environment: str = ""


class HitView(_JudgedView):
    """What a trigger would do. `allowed` False: it would be refused, for `reason`.

    `environment` is empty, or a new name, for what would create one.
    """

    action: TriggerAction
    allowed: bool
    reason: str = ""


class MissView(_JudgedView):
    """Why a trigger would do nothing, to the environment or at all."""

    reason: str


class TestedEventView(View):
    """An event as the service reads it, and what it would do, as far as the caller sees the triggers and environments.

    `hits` and `misses` have the first ones; `more_hits` and `more_misses` count the others.
    """

    source: Source
    kind: str
    origin: str
    subject: str
    fields: dict[str, FieldValue]
    hits: tuple[HitView, ...] = ()
    more_hits: int = 0
    misses: tuple[MissView, ...] = ()
    more_misses: int = 0


class TriggerTestView(View):
    """What would happen because of each event; `ignored`: why a delivery tells of none."""

    events: tuple[TestedEventView, ...] = ()
    ignored: str = ""
