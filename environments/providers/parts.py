"""What a provider's `provide` is given, and what a provider is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from environments.providers.consul.ports import ConsulApi
from environments.providers.nomad.access_ports import NomadAccess
from environments.providers.nomad.ports import JobPlaces, NomadApi
from environments.providers.vault.ports import VaultApi
from environments.service.entry_points import EntryPoints
from environments.service.module_states import ModuleStates
from environments.settings import Settings
from environments.steps.base import Clock
from environments.steps.registry import KnownStepKind, Provided
from environments.steps.secret_words import Words

if TYPE_CHECKING:  # it loads an HTTP library, which the checking processes need not have
    from environments.providers.backend.connections import Connections


@dataclass(frozen=True)
class Parts:
    """What bootstrap makes first. Providers share these clients, because a client caches what it has learned.

    `connections` gives addresses and credentials as they are at that moment, for a provider with a client of its own.
    `places` claims what jobs of an environment can read and write, and `words` are the words of its secrets.
    `states` keeps the states of OpenTofu modules; they are served at `state_address()` (`http://127.0.0.1:40123`).
    `entry_points` publishes services at the edges.
    """

    settings: Settings
    clock: Clock
    connections: Callable[[], "Connections"]
    consul: ConsulApi
    nomad: NomadApi
    nomad_access: NomadAccess
    vault: VaultApi
    places: JobPlaces
    words: Words
    states: ModuleStates
    state_address: Callable[[], str]
    entry_points: EntryPoints


class Provider(Protocol):
    """The module `provide` of a provider's folder.

    `STEP_KINDS` has its step kinds, whose rules the checking processes need. They load this module and nothing else of
    the provider, so what needs a vendor's library is imported inside of functions.
    """

    @property
    def STEP_KINDS(self) -> Sequence[KnownStepKind]: ...  # noqa: N802 - a constant of the module

    def provide(self, parts: Parts) -> Provided:
        """All that the provider gives to the registry."""
        ...
