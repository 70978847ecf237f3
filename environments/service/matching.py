"""Which triggers an event hits, and on which environments."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from environments.domain.access import ServiceRole
from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError
from environments.domain.received_event import GIT, KINDS, NewReceivedEvent, Source
from environments.domain.trigger import PlacedTrigger, TriggerAction, WhyNot, judge, of_template
from environments.domain.trigger_rules import MAKES
from environments.domain.trigger_values import Unresolved, Values, as_text, resolve_text
from environments.service.authorization import sees
from environments.service.storage.transaction import Transaction
from environments.service.timing_facts import template_of_version
from environments.service.trigger_owners import acting_for

_OWN = frozenset({Source.JOB, Source.IDLE, Source.COST, Source.KEY})
"""Sources whose events are about one environment, and for triggers on that one."""

_MOST_VERSIONS = 2000
"""Versions of templates whose triggers are kept in memory."""


@dataclass(frozen=True)
class Hit:
    """A trigger that counts for an event. `environment`: None for one that makes it, and `name` is what it is called.

    `refused`: why it can't act, although it counts.
    """

    trigger: PlacedTrigger
    owner: str
    environment: Environment | None = None
    name: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Miss:
    """A trigger that doesn't count for an event on that environment."""

    trigger: PlacedTrigger
    environment: Environment | None
    reason: str


@dataclass(frozen=True)
class TriggerIndex:
    """All triggers, by what they wait for. Those of templates are by their bundle's digest."""

    placed: Mapping[tuple[str, ...], Sequence[PlacedTrigger]] = field(default_factory=dict)
    bundled: Mapping[tuple[str, ...], Sequence[tuple[str, PlacedTrigger]]] = field(default_factory=dict)


def _key(source: Source, kind: str, webhook: str, repository: str) -> tuple[str, ...]:
    if source in GIT:
        return source.value, kind, webhook, repository.lower()
    return (source.value, kind, webhook) if source is Source.WEBHOOK else (source.value, kind)


def _keys(trigger: PlacedTrigger) -> Iterator[tuple[str, ...]]:
    """Of the events that it may be for: one for each kind."""
    one = trigger.definition
    for kind in sorted(set(one.kinds) or KINDS[one.on]):
        yield _key(one.on, kind, one.webhook, one.repository)


class Matching:
    """Finds triggers by an index, which is built again when triggers or the versions in use have changed."""

    def __init__(self) -> None:
        self._known: tuple[int, frozenset[tuple[str, str]], TriggerIndex] | None = None
        self._versions: dict[str, tuple[PlacedTrigger, ...]] = {}

    def over(self, tx: Transaction) -> "MatchingReading":
        """Matches events in a transaction; what it reads there is read once."""
        version, bundles = tx.triggers.version(), frozenset(tx.triggers.living_bundles())
        known = self._known
        if known is None or known[:2] != (version, bundles):
            known = version, bundles, self._make(tx, bundles)
            self._known = known
        return MatchingReading(tx, known[2])

    def _make(self, tx: Transaction, bundles: frozenset[tuple[str, str]]) -> TriggerIndex:
        placed: dict[tuple[str, ...], list[PlacedTrigger]] = {}
        for trigger in tx.triggers.active():
            for key in _keys(trigger):
                placed.setdefault(key, []).append(trigger)
        bundled: dict[tuple[str, ...], list[tuple[str, PlacedTrigger]]] = {}
        for template, digest in sorted(bundles):
            for trigger in self._of_version(tx, template, digest):
                for key in _keys(trigger):
                    bundled.setdefault(key, []).append((digest, trigger))
        return TriggerIndex(placed, bundled)

    def _of_version(self, tx: Transaction, template: str, digest: str) -> tuple[PlacedTrigger, ...]:
        found = self._versions.get(digest)
        if found is None:
            if len(self._versions) >= _MOST_VERSIONS:
                self._versions.clear()
            read = template_of_version(tx, digest)  # one that this service can't read has no triggers here
            found = tuple(of_template(template, one) for one in (read.triggers if read is not None else ()))
            self._versions[digest] = found
        return found


class MatchingReading:
    """Matches events in one transaction."""

    def __init__(self, tx: Transaction, index: TriggerIndex) -> None:
        self._tx = tx
        self._index = index
        self._environments: dict[str, Environment | None] = {}
        self._lists: dict[tuple[str, ...], list[str]] = {}

    def hits(self, event: NewReceivedEvent, now: datetime) -> list[Hit]:
        """What an event hits, at most once for each trigger and environment."""
        return [found for found in self._judged(event, now) if isinstance(found, Hit)]

    def _judged(self, event: NewReceivedEvent, now: datetime) -> Iterator[Hit | Miss]:
        key = _key(event.source, event.kind, event.origin, as_text(event.fields.get("repository")))
        for trigger in self._index.placed.get(key, ()):
            yield from self._on_each(trigger, event, now)
        for digest, trigger in self._index.bundled.get(key, ()):
            if not judge(trigger.definition, event, None):
                continue
            for environment in self._living(self._of_bundle(digest, event)):
                if environment.bundle == digest:
                    yield self.judge_on(trigger, environment.owner, environment, event, now)

    def _of_bundle(self, digest: str, event: NewReceivedEvent) -> list[str]:
        if event.source in _OWN:
            return [event.environment_id] if event.environment_id is not None else []
        key = ("bundle", digest)
        if key not in self._lists:
            self._lists[key] = self._tx.triggers.living_environments(bundle=digest)
        return self._lists[key]

    def _on_each(self, trigger: PlacedTrigger, event: NewReceivedEvent, now: datetime) -> Iterator[Hit | Miss]:
        """A trigger that isn't a template's, on each environment that it is for."""
        if not judge(trigger.definition, event, None):
            return
        if trigger.definition.action in MAKES:
            yield self.judge_on(trigger, trigger.owner, None, event, now)
            return
        for environment in self._living(self._of_trigger(trigger, event)):
            yield self.judge_on(trigger, trigger.owner, environment, event, now)

    def _of_trigger(self, trigger: PlacedTrigger, event: NewReceivedEvent) -> list[str]:
        if trigger.environment_id is not None:
            return [trigger.environment_id]
        template = trigger.definition.template
        key = ("owner", trigger.owner, template)
        if key not in self._lists:
            self._lists[key] = self._tx.triggers.living_environments(owner=trigger.owner, template=template)
        if event.source in _OWN and event.environment_id is not None:
            return [one for one in self._lists[key] if one == event.environment_id]
        return self._lists[key]

    def _living(self, ids: Sequence[str]) -> Iterator[Environment]:
        unknown = [one for one in ids if one not in self._environments]
        if unknown:
            self._environments |= dict.fromkeys(unknown)
            self._environments |= {one.id: one for one in self._tx.environments.of_ids(unknown)}
        for environment_id in ids:
            environment = self._environments[environment_id]
            if environment is not None and environment.destroyed_at is None:
                yield environment

    def judge_on(
        self,
        trigger: PlacedTrigger,
        owner: str,
        environment: Environment | None,
        event: NewReceivedEvent,
        now: datetime,
    ) -> Hit | Miss:
        """What one trigger does to one environment (None: it makes one). `owner`: whom it acts for."""
        values = values_of(event, environment)
        found = judge(trigger.definition, event, values)
        if isinstance(found, WhyNot):
            return Miss(trigger, environment, found.reason)
        measured = event.fields.get("trigger") if event.source in (Source.IDLE, Source.COST) else None
        if measured is not None and measured != trigger.id:
            return Miss(trigger, environment, "it was measured for another trigger")
        other = self._why_of_another(trigger, owner, environment, event, now)
        if other:
            return Miss(trigger, environment, other)
        if trigger.definition.action is not TriggerAction.CREATE:
            return Hit(trigger, owner, environment, "" if environment is None else environment.name)
        try:
            return Hit(trigger, owner, None, resolve_text(trigger.definition.environment, values))
        except Unresolved as error:
            return Hit(trigger, owner, None, refused=str(error))

    def _why_of_another(
        self,
        trigger: PlacedTrigger,
        owner: str,
        environment: Environment | None,
        event: NewReceivedEvent,
        now: datetime,
    ) -> str:
        """Why an event about an environment doesn't count for a trigger; empty: it does.

        Nobody is told by a trigger of what they may not see.
        """
        about = event.environment_id
        target = None if environment is None else environment.id
        if event.source in _OWN and about is not None and target is not None:
            return "" if about == target else "the event is about another environment"
        if event.source is Source.KEY and about is None:
            role = self._tx.people.standing(owner, now).role
            return "" if role is ServiceRole.ADMIN and not trigger.from_template else "the key is no environment's"
        if event.source is not Source.ENVIRONMENT and (about is None or event.source not in _OWN):
            return ""
        if about is not None and about == target:
            return "an environment's own events don't trigger it"
        known = None if about is None else self._tx.environments.get(about)
        try:
            seen = known is not None and sees(self._tx, acting_for(self._tx, owner, trigger, now), known)
        except CalvinverseError:
            return ""  # it is refused when it fires, and told there
        return "" if seen else "the event is about an environment that its owner doesn't see"


def values_of(event: NewReceivedEvent, environment: Environment | None) -> Values:
    """What references in a trigger's texts stand for."""
    return Values(
        event=event.fields,
        parameters={} if environment is None else environment.parameters,
        environment=None if environment is None else environment.name,
    )
