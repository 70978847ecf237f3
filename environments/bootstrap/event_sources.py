"""The sources of received events that the service reads, connected with the cluster."""

from collections.abc import Callable
from datetime import datetime

from environments.engine.cluster_follower import ClusterFollower
from environments.engine.event_sources import make_sources
from environments.engine.event_sources.parts import EventSource, SourceParts
from environments.providers.backend.connections import Connections
from environments.providers.consul.key_feed import ConsulKeyFeed
from environments.providers.nomad.bridge_counters import BridgeCounters
from environments.providers.nomad.ends import NomadJobEnds
from environments.providers.nomad.ports import NomadApi
from environments.providers.nomad.usage import NomadUsage
from environments.service.receiving import Receiving
from environments.stores.database import Database


def sources_of(
    database: Database,
    receiving: Receiving,
    clock: Callable[[], datetime],
    leads: Callable[[], bool],
    connections: Callable[[], Connections],
    nomad: NomadApi,
    follower: ClusterFollower,
) -> list[EventSource]:
    """All sources, not yet started, which hear of commits and of the cluster's events."""
    parts = SourceParts(
        storage=database,
        receiving=receiving,
        clock=clock,
        leads=leads,
        job_ends=NomadJobEnds(nomad),
        keys=ConsulKeyFeed(connections),
        usage=NomadUsage(connections, BridgeCounters()),
    )
    sources = make_sources(parts)
    for source in sources:
        follower.subscribe(source)
        database.follow(source.published)
    return sources
