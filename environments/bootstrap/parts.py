"""The parts that providers work with, and the registry of all that they give."""

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from environments.bootstrap.providers import PROVIDERS
from environments.domain.errors import NotConnected
from environments.domain.names import ID_ALPHABET, ID_LENGTH
from environments.providers.backend.connections import CONNECTIONS_FILE, Connections
from environments.providers.consul import provide as consul
from environments.providers.job_places import provide as job_places
from environments.providers.nomad import provide as nomad
from environments.providers.parts import Parts
from environments.providers.vault import provide as vault
from environments.providers.vault.secret_words import secret_words
from environments.service.entry_points import EntryPoints
from environments.service.module_states import ModuleStates
from environments.settings import Settings
from environments.steps.registry import StepRegistry, registry_of


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """`env-` or the like, and 60 random bits that a person can read out; see `environments.domain.names.is_id`."""
    return f"{kind}-{''.join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))}"


def connections_of(settings: Settings) -> Callable[[], Connections]:
    """The current connections. The file is read again after changes, because the service may start the cluster."""
    path = settings.connections or settings.state / CONNECTIONS_FILE
    guard = threading.Lock()
    seen: tuple[tuple[int, int, int], Connections] | None = None

    def read() -> Connections:
        nonlocal seen
        try:
            stat = path.stat()
        except FileNotFoundError:
            if settings.connections is not None:
                raise NotConnected(f"There is no file {path} with the connections to the cluster.") from None
            return Connections()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        with guard:
            if seen is None or seen[0] != stamp:
                seen = (stamp, Connections.load(path))
            return seen[1]

    return read


def make_parts(
    settings: Settings,
    connections: Callable[[], Connections],
    states: ModuleStates,
    state_address: Callable[[], str],
    entry_points: EntryPoints,
) -> Parts:
    """The clients of the cluster, and what the service keeps of modules and entry points: what all providers share."""
    consul_api, nomad_api, vault_api = (
        consul.connect(connections),
        nomad.connect(connections),
        vault.connect(connections),
    )
    return Parts(
        settings=settings,
        clock=now,
        connections=connections,
        consul=consul_api,
        nomad=nomad_api,
        nomad_access=nomad.connect_access(connections),
        vault=vault_api,
        places=job_places.connect(consul_api, nomad_api, vault_api),
        words=secret_words(vault_api.secrets),
        states=states,
        state_address=state_address,
        entry_points=entry_points,
    )


def make_registry(parts: Parts) -> StepRegistry:
    """Everything that the providers give."""
    return registry_of([provider.provide(parts) for provider in PROVIDERS])
