"""Received events in the API."""

from datetime import datetime

from environments.domain.received_event import FieldValue, ReceivedState, Source
from environments.wire.fields import EnvironmentId, View
from environments.wire.triggers import FiringView, ReceivedEventId


class ReceivedEventView(View):
    """Something that happened elsewhere. `fields` hold what strangers wrote, cut to a length: never trust them.

    `reason` says why it was refused. `replay_of`: the event that an admin repeated. `hops`: how many firings led to it.
    What an event says of an environment that the caller doesn't see is left out.
    """

    id: ReceivedEventId
    source: Source
    kind: str
    origin: str
    delivery: str
    subject: str
    fields: dict[str, FieldValue]
    at: datetime | None = None
    received_at: datetime
    environment_id: EnvironmentId | None = None
    hops: int = 0
    state: ReceivedState
    reason: str = ""
    done_at: datetime | None = None
    replay_of: ReceivedEventId | None = None


class ReceivedEventDetailsView(ReceivedEventView):
    """A received event with what triggers did because of it, to environments that the caller sees.

    `firings` has the first ones, `more_firings` counts the others.
    """

    firings: tuple[FiringView, ...] = ()
    more_firings: int = 0
