"""Consul's provider: keys, and the policies, tokens and services of jobs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from environments.providers.consul.access import PolicyHandler, TokensHandler
from environments.providers.consul.drift import ConsulDriftDetector
from environments.providers.consul.kv import ConsulKv
from environments.providers.consul.ports import ConsulApi
from environments.providers.consul.prefix import PrefixHandler
from environments.providers.consul.services import ServicesHandler
from environments.providers.local_cluster.agent_step import AGENT_KIND
from environments.providers.parts import Parts
from environments.steps.base import ResourceHandler
from environments.steps.registry import KnownStepKind, Provided

if TYPE_CHECKING:
    from environments.providers.backend.connections import Connections

STEP_KINDS: tuple[KnownStepKind, ...] = (ConsulKv,)


def connect(connections: Callable[[], "Connections"]) -> ConsulApi:
    """A client of Consul; it asks `connections` for address and credential before each call."""
    from environments.providers.consul.client import ConsulClient

    return ConsulClient(connections)


def provide(parts: Parts) -> Provided:
    """See `environments.providers.parts`."""
    consul = parts.consul
    handlers: list[ResourceHandler] = [
        PrefixHandler(consul),
        PolicyHandler(consul),
        TokensHandler(consul),
        ServicesHandler(consul),
    ]
    return Provided(
        executors=[ConsulKv(consul)],
        handlers=handlers,
        drift_detectors=[ConsulDriftDetector(consul, consul, consul)],
        hosted_by={handler.kind: (AGENT_KIND, "consul") for handler in handlers},
    )
