"""Removes the agents of a state folder, and all that runs on them, without the database that records them.

It is a program: `python -m environments.providers.local_cluster.agents.clean_up <state folder>` prints a line for each
agent. When something is left it prints why, and ends with status 1.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote

from environments.belongings import refuse_others, remove_own
from environments.domain.errors import CalvinverseError, InvalidInput, MachineError
from environments.private_files import discard
from environments.providers.backend.connections import CONNECTIONS_FILE, Connections
from environments.providers.local_cluster.agents import left_containers
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.site import choose_again, chosen_file
from environments.shared_places import is_claimed, is_elsewhere


def clean_up(state: Path) -> None:
    """Removes them; does nothing where there are none. Raises `CalvinverseError`."""
    left_containers.remove(state)
    if not os.path.lexists(chosen_file(state)) and not os.path.lexists(state / "agents"):
        return
    refuse_others(state)
    for folder in (state / "agents", chosen_file(state).parent):
        if not folder.is_dir() and (left := remove_own(state, folder.name)):
            raise MachineError(f"{left[0]} is in the place of a folder.", hint="Move it away, and repeat the command.")
        if is_elsewhere(folder) and not is_claimed(state, folder.name):
            # What is there is of others, agents of theirs too.
            for path in remove_own(state, folder.name):
                print(f"{path} stays: deploy didn't make it", flush=True)
            if folder.is_dir():
                raise MachineError(
                    f"A disk of others is mounted at {folder}.", hint=f"Run `umount {quote(str(folder))}`."
                )
    # Without what is damaged, processes and files are found by the folder.
    connections = state / CONNECTIONS_FILE
    with suppress(FileNotFoundError):
        try:
            Connections.load(connections)
        except CalvinverseError:
            discard(connections)
    try:
        agents = LocalAgents(state, {})
    except (InvalidInput, MachineError):
        choose_again(state)
        agents = LocalAgents(state, {})
    agents.remove(progress=lambda line: print(line, flush=True))


def main(state: Path) -> int:
    """The program; returns its exit status."""
    try:
        clean_up(state)
    except (CalvinverseError, OSError) as error:
        told = [error.message, error.hint] if isinstance(error, CalvinverseError) else [str(error)]
        print(" ".join(filter(None, told)), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
