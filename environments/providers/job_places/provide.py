"""What the places of jobs give: all that a destroy of an environment with jobs takes away."""

from collections.abc import Callable
from concurrent.futures import Executor

from environments.providers.consul.ports import ConsulApi
from environments.providers.job_places.claims import THREADS, ClaimedPlaces, reach
from environments.providers.nomad.ports import JobPlaces, NomadApi
from environments.providers.parts import Parts
from environments.providers.vault.ports import VaultApi
from environments.steps.registry import KnownStepKind, Provided

STEP_KINDS: tuple[KnownStepKind, ...] = ()


def connect(consul: ConsulApi, nomad: NomadApi, vault: VaultApi, pool: Callable[[], Executor] = THREADS) -> JobPlaces:
    """The places in all three; see `ClaimedPlaces` for `pool`."""
    return ClaimedPlaces(nomad, consul, consul, consul, vault.secrets, vault.pki, vault.logins, pool)


def provide(parts: Parts) -> Provided:
    """See `environments.providers.parts`."""
    return Provided(reach=reach)
