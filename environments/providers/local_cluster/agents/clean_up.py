"""Removes the agents of a state folder, and all that runs on them, without the database that records them.

It is a program: `python -m environments.providers.local_cluster.agents.clean_up <state folder>` prints a line for each
agent. When something is left it prints why, and ends with status 1.
"""

import sys
from contextlib import suppress
from pathlib import Path

from environments.domain.errors import CalvinverseError, InvalidInput, MachineError
from environments.providers.backend.connections import CONNECTIONS_FILE, Connections
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.site import chosen_file


def clean_up(state: Path) -> None:
    """Removes them; does nothing where there are none. Raises `CalvinverseError`."""
    if not chosen_file(state).exists() and not (state / "agents").exists():
        return
    # Without what is damaged, processes and files are found by the folder.
    connections = state / CONNECTIONS_FILE
    with suppress(FileNotFoundError):
        try:
            Connections.load(connections)
        except CalvinverseError:
            connections.unlink()
    try:
        agents = LocalAgents(state, {})
    except (InvalidInput, MachineError):
        chosen_file(state).unlink(missing_ok=True)
        agents = LocalAgents(state, {})
    agents.remove(progress=lambda line: print(line, flush=True))


def main(state: Path) -> int:
    """The program; returns its exit status."""
    try:
        clean_up(state)
    except (CalvinverseError, OSError) as error:
        print(getattr(error, "message", str(error)), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
