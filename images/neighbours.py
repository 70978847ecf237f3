"""Finds other Nomads on this machine's Docker engine, which may remove this deployment's containers."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.open_files import open_files

LABEL = "com.hashicorp.nomad.alloc_id"
"""The label of every container that Nomad starts."""

ANSWER_LIMIT = 20.0
"""Time limit in seconds for listing containers."""

_HOLDER = "nomad_init_"
"""What the name of a container begins with that holds the network of an allocation, before its id."""

_ALLOCATION = re.compile(r"(?<=-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
"""The id in the name of a container of a task, after the task's."""

NAMED = 3
"""How many of each kind are named; the others are counted."""

ADVICE = (
    "Unless the docker plugin of its agents has `gc { dangling_containers { enabled = false } }`, it removes, every "
    "5 minutes, containers that it doesn't know, including those of the service and of environments: set that there. "
    "Calvinverse's own Nomad has this setting, and removes no containers of others. "
    'See docs/how-to/operate.md, "Another Nomad".'
)
"""What another Nomad may do, and how to prevent it."""


@dataclass(frozen=True)
class Neighbours:
    """Other Nomads: names of running containers, and processes of agents (`nomad (4711)`)."""

    containers: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.containers or self.agents)

    def sentence(self) -> str:
        """A sentence that names them."""
        parts = [
            f"{len(found)} {what}{'s' if len(found) > 1 else ''} ({_some(found)})"
            for what, found in (("running container", self.containers), ("agent", self.agents))
            if found
        ]
        return f"Another Nomad works on this machine's Docker engine: {' and '.join(parts)} not of this deployment."


def neighbours(state: Path, processes: Path = Path("/proc")) -> Neighbours:
    """Nomads that don't belong to the deployment with this state folder; empty if they can't be listed.

    An agent in a container, or with another program name, isn't found, but its containers are.
    """
    return Neighbours(tuple(_containers(state)), tuple(_agents(state, processes)))


def _containers(state: Path) -> Iterator[str]:
    command = ["docker", "ps", "--no-trunc", "--filter", f"label={LABEL}", "--format", "{{.Names}} {{.Mounts}}"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_LIMIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return
    for line in sorted(done.stdout.splitlines()):
        name, _, mounts = line.partition(" ")
        # What holds the network of an allocation mounts nothing, and the path of the state folder may be another now.
        if any((state / "agents/nomad/data/alloc" / each).is_dir() for each in _allocation_of(name)):
            continue
        if not any(source.startswith(f"{state}/") for source in mounts.split(",")):
            yield name


def _allocation_of(container: str) -> Iterator[str]:
    if container.startswith(_HOLDER):
        yield container.removeprefix(_HOLDER)
    elif found := _ALLOCATION.search(container):
        yield found[0]


def _agents(state: Path, processes: Path) -> Iterator[str]:
    for folder in sorted(processes.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if words[0].rpartition(b"/")[2] != b"nomad" or b"agent" not in words[1:]:
            continue
        if not any(word.startswith(f"{state}/".encode()) for word in words[1:]) and not _works_in(folder, state):
            yield f"nomad ({folder.name})"


def _works_in(process: Path, state: Path) -> bool:
    """Whether a process has a file below this folder open, which it may know by another path."""
    return any(file.startswith(f"{state.resolve()}/") for file in open_files(process))


def _some(found: Sequence[str]) -> str:
    named = ", ".join(found[:NAMED])
    return named if len(found) <= NAMED else f"{named} and {len(found) - NAMED} more"
