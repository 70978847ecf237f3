"""Received events: something that happened elsewhere, which triggers are matched with.

What an event says comes from strangers: its fields are data of bounded size, without control characters.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from environments.domain.cleaning import printable


class Source(StrEnum):
    """Where events come from."""

    PULL_REQUEST = "git.pull_request"
    BRANCH = "git.branch"
    JOB = "nomad.job"
    KEY = "consul.key"
    IDLE = "idle"
    WEBHOOK = "webhook"
    ENVIRONMENT = "environment"
    COST = "cost"


KINDS: Mapping[Source, frozenset[str]] = {
    Source.PULL_REQUEST: frozenset({"opened", "reopened", "pushed", "closed", "merged", "labelled", "unlabelled"}),
    Source.BRANCH: frozenset({"pushed", "deleted"}),
    Source.JOB: frozenset({"complete", "failed"}),
    Source.KEY: frozenset({"changed", "deleted"}),
    Source.IDLE: frozenset({"idle"}),
    Source.WEBHOOK: frozenset({"received"}),
    Source.ENVIRONMENT: frozenset({"ready", "failed", "destroyed"}),
    Source.COST: frozenset({"over"}),
}
"""What can happen at each source."""

VOIDED_BY: Mapping[tuple[Source, str], frozenset[str]] = {
    (Source.PULL_REQUEST, "opened"): frozenset({"closed", "merged"}),
    (Source.PULL_REQUEST, "reopened"): frozenset({"closed", "merged"}),
    (Source.PULL_REQUEST, "pushed"): frozenset({"pushed"}),
    (Source.PULL_REQUEST, "closed"): frozenset({"reopened"}),
    (Source.BRANCH, "pushed"): frozenset({"pushed", "deleted"}),
    (Source.BRANCH, "deleted"): frozenset({"pushed"}),
    (Source.KEY, "changed"): frozenset({"changed", "deleted"}),
    (Source.KEY, "deleted"): frozenset({"changed"}),
}
"""What makes an event void when it happened later to the same: the state that the event tells is no more."""

GIT = frozenset({Source.PULL_REQUEST, Source.BRANCH})
"""Sources that forges tell about, through a webhook and for a repository."""

BY_WEBHOOK = GIT | {Source.WEBHOOK}
"""Sources that a webhook tells about."""

MOST_HOPS = 5
"""How many firings may lead from one to the next: the event that the last one causes is refused."""

LONGEST_FIELD = 1000
"""Characters of a text in a field."""

MOST_ENTRIES = 100
"""Entries of a list in a field."""

MOST_FIELDS = 50
"""Fields of an event."""

FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
"""What a field may be called; other members of a document are left out."""

LONGEST_DELIVERY = 200
"""Characters of a delivery's id."""

LARGEST_NUMBER = 2**53
"""Whole numbers of fields; beyond it not every reader of JSON can tell two from each other."""

FieldValue = str | int | bool | tuple[str, ...]
"""What a field may hold."""

_BREAKS = re.compile(r"\s+")


def fields_of(given: Mapping[str, Any]) -> dict[str, FieldValue]:
    """The fields of an event, bounded and without control characters; what can't be a field's value is left out."""
    fields: dict[str, FieldValue] = {}
    for name, value in given.items():
        if len(fields) == MOST_FIELDS:
            break
        if FIELD_NAME.fullmatch(name):
            kept = _field(value)
            if kept is not None:
                fields[name] = kept
    return fields


def plain(text: str, longest: int = LONGEST_FIELD) -> str:
    """A text of a stranger in one line, without control characters and halves of characters, cut to a length."""
    whole = text[: 4 * longest].encode(errors="replace").decode()
    return _BREAKS.sub(" ", printable(whole))[:longest]


def _field(value: Any) -> FieldValue | None:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= LARGEST_NUMBER else plain(str(value)) if abs(value) < 10**300 else None
    if isinstance(value, float):
        return plain(repr(value))
    if isinstance(value, list | tuple):
        return tuple(islice(_texts(value), MOST_ENTRIES))
    return None


def _texts(values: list[Any] | tuple[Any, ...]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield plain(value)
        elif isinstance(value, bool):
            yield "true" if value else "false"
        elif isinstance(value, int) and abs(value) <= LARGEST_NUMBER:
            yield str(value)


def _bounded(longest: int) -> BeforeValidator:
    return BeforeValidator(lambda value: plain(value, longest) if isinstance(value, str) else value)


def _delivery(value: Any) -> Any:
    """An id that can be stored as it is, else its hash: ids that are cut would stand for each other."""
    if not isinstance(value, str) or (0 < len(value) <= LONGEST_DELIVERY and plain(value) == value):
        return value
    return f"sha256:{hashlib.sha256(value.encode(errors='surrogatepass')).hexdigest()}"


Fields = Annotated[
    dict[str, FieldValue], BeforeValidator(lambda given: fields_of(given) if isinstance(given, Mapping) else given)
]


class ReceivedState(StrEnum):
    """What has become of an event. `refused`: it is recorded, and has no effect."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"


class NewReceivedEvent(BaseModel):
    """An event as a source tells it.

    `origin` is the name of a webhook, `nomad`, `consul` or `service`; `delivery` is unique within it, and an event is
    received once for each. `subject` says what it is about: `acme/shop#12`, `acme/shop@branch`, `<namespace>/<job>`, a
    key, an environment's id, a webhook's name. `at`: when it happened, as its source says. `environment_id`: the
    environment that it is about. `hops`: how many firings have led to it.
    """

    model_config = ConfigDict(frozen=True)

    source: Source
    kind: Annotated[str, _bounded(40)]
    origin: Annotated[str, _bounded(100)]
    delivery: Annotated[str, BeforeValidator(_delivery)]
    subject: Annotated[str, _bounded(500)]
    fields: Fields = Field(default_factory=dict)
    at: datetime | None = None
    environment_id: str | None = None
    hops: int = 0


class ReceivedEvent(NewReceivedEvent):
    """An event as it is kept. `reason` says why it was refused. `replay_of`: the event that a person had repeated."""

    id: str
    received_at: datetime
    state: ReceivedState = ReceivedState.WAITING
    reason: str = ""
    done_at: datetime | None = None
    replay_of: str | None = None
