"""What providers get, for tests that need no service: the clients of a cluster, or twins in memory."""

from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from pathlib import Path
from typing import cast

from environments.bootstrap.parts import make_parts, now
from environments.providers.backend.connections import Connections
from environments.providers.job_places import provide as job_places
from environments.providers.parts import Parts
from environments.providers.vault.secret_words import secret_words
from environments.service.entry_points import EntryPoints
from environments.service.module_states import ModuleStates
from environments.settings import Settings
from tests.fakes.backends.consul import MemoryConsul
from tests.fakes.backends.entry_points import MemoryEntryPoints
from tests.fakes.backends.nomad import MemoryNomad
from tests.fakes.backends.nomad_access import MemoryNomadAcl
from tests.fakes.backends.vault import MemoryVault
from tests.fakes.inline_executor import InlineExecutor

_NO_STATES = cast(ModuleStates, None)
"""A module can't be applied."""


def parts_of(connections: Callable[[], Connections], state: Path) -> Parts:
    """The service's own clients of a cluster."""
    return make_parts(Settings(state=state), connections, _NO_STATES, lambda: "", MemoryEntryPoints())


def memory_parts(
    consul: MemoryConsul | None = None,
    nomad: MemoryNomad | None = None,
    vault: MemoryVault | None = None,
    clock: Callable[[], datetime] = now,
    pool: Callable[[], Executor] = InlineExecutor,
    entry_points: EntryPoints | None = None,
) -> Parts:
    """Twins in memory. Calls that may run side by side do so in `pool`."""
    consul, vault = consul or MemoryConsul(), vault or MemoryVault()
    nomad = nomad or MemoryNomad(consul)
    return Parts(
        settings=Settings(state=Path("no state on this machine")),
        clock=clock,
        connections=Connections,
        consul=consul,
        nomad=nomad,
        nomad_access=MemoryNomadAcl(),
        vault=vault,
        places=job_places.connect(consul, nomad, vault, pool),
        words=secret_words(vault.secrets),
        states=_NO_STATES,
        state_address=lambda: "",
        entry_points=entry_points or MemoryEntryPoints(),
    )
