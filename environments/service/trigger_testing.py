"""What an event would do, without doing it: which triggers would hit which environments, and why not the others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from environments.domain.environment import Environment
from environments.domain.errors import InvalidInput, NotFound
from environments.domain.received_event import NewReceivedEvent, Source, fields_of
from environments.service.authorization import Principal, environment_to_read
from environments.service.storage.transaction import Storage, Transaction
from environments.service.trigger_candidates import Candidates, Judged
from environments.service.webhook_kinds import WHY_IGNORED, Delivered, Ignored, WebhookKind

SHOWN = 100
"""Hits, and misses, that are told one by one; more are counted."""

MOST_EVENTS = 20
"""Events of one delivery."""


@dataclass(frozen=True)
class WantedEvent:
    """An event as somebody tells it. `environment`: the one that it is about, by name or id."""

    source: Source
    kind: str
    origin: str = ""
    subject: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    environment: str | None = None


@dataclass(frozen=True)
class WantedDelivery:
    """A delivery as it was recorded."""

    webhook: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class Outcome(NamedTuple):
    """What one event would do. `hits` and `misses` have the first ones, the others are counted."""

    event: NewReceivedEvent
    hits: Sequence[Judged] = ()
    more_hits: int = 0
    misses: Sequence[Judged] = ()
    more_misses: int = 0


class Outcomes(NamedTuple):
    """What the events of a test would do; `ignored`: why a delivery tells of none."""

    events: Sequence[Outcome] = ()
    ignored: str = ""


class TriggerTesting:
    """Tells of triggers that the caller sees, and of environments that they see, alone."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], kinds: Mapping[str, WebhookKind]) -> None:
        """`kinds`: those of webhooks, by their names."""
        self._storage = storage
        self._clock = clock
        self._kinds = kinds

    def test(
        self,
        principal: Principal,
        *,
        event: WantedEvent | None = None,
        delivery: WantedDelivery | None = None,
        only: str | None = None,
    ) -> Outcomes:
        """What an event, or those of a delivery, would do; `only`: to this environment.

        Raises `InvalidInput`, `NotFound` for a webhook, `UnknownEnvironment`.
        """
        with self._storage.read() as tx:
            if (event is None) == (delivery is None):
                raise InvalidInput("Give either an event or a delivery.")
            if event is not None:
                found: Sequence[NewReceivedEvent] | str = [_event(tx, principal, event)]
            else:
                assert delivery is not None
                found = self._events(tx, delivery)
            if isinstance(found, str):
                return Outcomes(ignored=found)
            wanted = None if only is None else environment_to_read(tx, principal, only)
            candidates = Candidates(tx, principal, self._clock(), wanted)
            return Outcomes([_tested(one, candidates.judge(one)) for one in found[:MOST_EVENTS]])

    def _events(self, tx: Transaction, delivery: WantedDelivery) -> Sequence[NewReceivedEvent] | str:
        webhook = tx.webhooks.get(delivery.webhook)
        if webhook is None:
            raise NotFound(
                f"There is no webhook {delivery.webhook!r}.", hint="Ask an admin: `calvinverse webhook list`."
            )
        kind = self._kinds.get(webhook.kind)
        if kind is None:
            return f"nothing is known of the kind {webhook.kind}"
        headers = {name.lower(): value for name, value in delivery.headers.items()}
        delivered = Delivered(headers, b"", self._clock())
        found = kind.events(webhook.name, "a dry run", delivered, delivery.body)
        return WHY_IGNORED.get(found.why, found.why) if isinstance(found, Ignored) else found


def _event(tx: Transaction, principal: Principal, wanted: WantedEvent) -> NewReceivedEvent:
    """The event, read as a source's: with bounded fields."""
    about = None if wanted.environment is None else environment_to_read(tx, principal, wanted.environment)
    subject = wanted.subject or _subject(wanted, about)
    return NewReceivedEvent(
        source=wanted.source,
        kind=wanted.kind,
        origin=wanted.origin,
        delivery="a dry run",
        subject=subject,
        fields=fields_of(wanted.fields),
        environment_id=None if about is None else about.id,
    )


def _subject(wanted: WantedEvent, about: Environment | None) -> str:
    if wanted.source is Source.PULL_REQUEST:
        return f"{wanted.fields.get('repository', '')}#{wanted.fields.get('number', '')}"
    if wanted.source is Source.BRANCH:
        return f"{wanted.fields.get('repository', '')}@{wanted.fields.get('branch', '')}"
    return "" if about is None else about.id


def _tested(event: NewReceivedEvent, judged: Iterator[Judged]) -> Outcome:
    hits: list[Judged] = []
    missed: dict[str, list[Judged]] = {}
    for one in judged:
        if one.hit:
            hits.append(one)
        else:
            missed.setdefault(one.trigger.id, []).append(one)
    ways = [way for found in missed.values() for way in _once(found)]
    ways.sort(key=lambda one: one.trigger.definition.on is not event.source)
    return Outcome(event, hits[:SHOWN], max(0, len(hits) - SHOWN), ways[:SHOWN], max(0, len(ways) - SHOWN))


def _once(found: list[Judged]) -> list[Judged]:
    """What is the same for every environment is told once."""
    if len(found) > 1 and len({one.reason for one in found}) == 1:
        return [found[0]._replace(environment=None)]
    return found
