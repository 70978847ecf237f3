"""Webhooks, put together: their use cases, deliveries, and the forges that they belong to."""

import secrets
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import requests

from environments.addresses import host_of
from environments.engine.refused_writer import RefusedWriter
from environments.providers.backend.connections import Connections
from environments.providers.backend.outgoing import AddressRule, outgoing_session
from environments.providers.forges.configured import ConfiguredForges, ForgeAccess
from environments.providers.forges.kinds import KINDS
from environments.service.deliveries import Deliveries
from environments.service.delivery_keys import DeliveryKeys
from environments.service.forges import Forges
from environments.service.receiving import Receiving
from environments.service.refused_counts import RefusedCounts
from environments.service.storage.transaction import Storage
from environments.service.webhook_secrets import WebhookSecrets
from environments.service.webhooks import Webhooks

Session = Callable[[frozenset[str]], requests.Session]
"""Makes a session for calls of a forge, from the addresses that an admin allows for it."""


@dataclass(frozen=True)
class Incoming:
    """All about webhooks."""

    webhooks: Webhooks
    deliveries: Deliveries
    forges: Forges
    writer: RefusedWriter
    held: WebhookSecrets


def webhooks_of(
    storage: Storage,
    receiving: Receiving,
    held: WebhookSecrets,
    clock: Callable[[], datetime],
    session: Session,
    *,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> Incoming:
    """`held`: where the secrets are."""
    keys = DeliveryKeys(storage, held)
    counts = RefusedCounts(storage, clock)
    forges = ConfiguredForges(partial(_access, keys), session, clock)
    return Incoming(
        webhooks=Webhooks(storage, held, keys, KINDS, counts, clock, random, forges),
        deliveries=Deliveries(storage, receiving, keys, KINDS, counts, clock),
        forges=forges,
        writer=RefusedWriter(counts),
        held=held,
    )


def forge_session(connections: Callable[[], Connections], allowed: frozenset[str]) -> requests.Session:
    """A session that calls neither this machine nor a part of the cluster, unless that is allowed."""
    return outgoing_session(AddressRule(allowed, lambda: _addresses(connections())))


def _access(keys: DeliveryKeys, name: str) -> ForgeAccess | None:
    known = keys.find(name)
    if known is None:
        return None
    webhook = known.webhook
    token = "" if known.secrets is None else known.secrets.token
    return ForgeAccess(webhook.kind, webhook.address, frozenset(webhook.allowed), token)


def _addresses(connections: Connections) -> Collection[str]:
    """The IP addresses of the cluster's parts."""
    found: set[str] = set()
    for part in (connections.consul, connections.vault, connections.nomad):
        if part is not None:
            with suppress(OSError, UnicodeError):
                host = host_of(part.address)
                found |= {str(address[0]) for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return found
