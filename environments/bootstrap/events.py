"""Received events, put together: what receives, matches and acts on them, with their sources, webhooks and previews."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from environments.bootstrap.parts import new_id
from environments.bootstrap.webhooks import Incoming, forge_session, webhooks_of
from environments.engine.cluster_follower import ClusterFollower
from environments.engine.event_processor import EventProcessor
from environments.engine.event_sources import make_sources
from environments.engine.event_sources.parts import EventSource, SourceParts
from environments.engine.preview_keeper import PreviewKeeper
from environments.providers.consul.key_feed import ConsulKeyFeed
from environments.providers.nomad.bridge_counters import BridgeCounters
from environments.providers.nomad.ends import NomadJobEnds
from environments.providers.nomad.usage import NomadUsage
from environments.providers.parts import Parts
from environments.providers.vault.webhook_secrets import OpenBaoWebhookSecrets
from environments.service.checking import Checks
from environments.service.enqueue import Sealer
from environments.service.entry_points import EntryPoints
from environments.service.firing import FiringRuns, NoSources
from environments.service.forge_sources import ForgeSources
from environments.service.matching import Matching
from environments.service.preview_noting import PreviewNoting
from environments.service.preview_telling import PreviewTelling
from environments.service.previews import Previews
from environments.service.receiving import Receiving
from environments.service.running_again import WhyNot
from environments.service.storage.transaction import Transaction
from environments.service.trigger_effects import Effects, NoHints
from environments.service.trigger_owners import acting_for
from environments.service.warnings import Warnings
from environments.stores.database import Database


@dataclass(frozen=True)
class EventHandling:
    """What receives events, and what the leader does about them."""

    processor: EventProcessor
    sources: list[EventSource]
    keeper: PreviewKeeper
    incoming: Incoming

    def start(self) -> None:
        """Starts what the leader does. Deliveries are taken without it."""
        self.processor.start()
        for source in self.sources:
            source.start()
        self.keeper.start()

    def stop(self) -> None:
        """Stops it; what was at work is repeated at the next start."""
        self.keeper.stop()
        for source in self.sources:
            source.stop()
        self.processor.stop()


def events_of(
    database: Database,
    parts: Parts,
    sealer: Sealer,
    checks: Checks,
    warnings: Warnings,
    again: WhyNot,
    leads: Callable[[], bool],
    follower: ClusterFollower,
) -> EventHandling:
    """Nothing of it runs yet; the sources already hear of commits and of the cluster's events."""
    clock = parts.clock
    effects = Effects(sealer, new_id, warnings, NoHints(), again)
    runs = FiringRuns(database, clock, new_id, checks, effects, NoSources())
    processor = EventProcessor(
        database, Matching(), runs, clock, new_id, leads, gives_way=parts.settings.role == "worker"
    )
    receiving = Receiving(database, clock, new_id, processor.wake)
    held = OpenBaoWebhookSecrets(parts.vault.secrets)
    incoming = webhooks_of(database, receiving, held, clock, partial(forge_session, parts.connections))
    telling = PreviewTelling(database, clock, incoming.forges, _addresses_of(parts.entry_points))
    previews = Previews(database, sealer, clock, new_id, checks, incoming.forges, telling, acting_for)
    noting = PreviewNoting(database, clock, new_id, incoming.forges, acting_for)
    effects.hints = noting
    processor.noticed = noting.wake
    runs.sources = ForgeSources(incoming.forges)
    return EventHandling(
        processor=processor,
        sources=_sources(database, parts, receiving, leads, follower),
        keeper=PreviewKeeper(previews, noting, leads, clock, parts.settings.preview_sweep),
        incoming=incoming,
    )


def _sources(
    database: Database, parts: Parts, receiving: Receiving, leads: Callable[[], bool], follower: ClusterFollower
) -> list[EventSource]:
    sources = make_sources(
        SourceParts(
            storage=database,
            receiving=receiving,
            clock=parts.clock,
            leads=leads,
            job_ends=NomadJobEnds(parts.nomad),
            keys=ConsulKeyFeed(parts.connections),
            usage=NomadUsage(parts.connections, BridgeCounters()),
        )
    )
    for source in sources:
        follower.subscribe(source)
        database.follow(source.published)
    return sources


def _addresses_of(entry_points: EntryPoints) -> Callable[[Transaction, str], tuple[str, ...]]:
    """Gives the addresses of an environment's entry points."""
    return lambda tx, environment: tuple(found.url for found in entry_points.addresses(tx, environment))
