"""The sources of received events that the service reads by itself; forges and other webhooks come to it instead."""

from environments.engine.event_sources.consul_keys import KeyEvents
from environments.engine.event_sources.costs import CostEvents
from environments.engine.event_sources.environments import EnvironmentEvents
from environments.engine.event_sources.idle import IdleEvents
from environments.engine.event_sources.nomad_jobs import JobEvents
from environments.engine.event_sources.parts import EventSource, SourceParts

SOURCES = (
    EnvironmentEvents,
    JobEvents,
    KeyEvents,
    CostEvents,
    IdleEvents,
)


def make_sources(parts: SourceParts) -> list[EventSource]:
    """All of them, not yet started."""
    return [source(parts) for source in SOURCES]
