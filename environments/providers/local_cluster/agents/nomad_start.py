"""Starts Nomad, after removing networks of allocations in which no task runs yet.

Nomad first starts the container that holds the network of an allocation, then has the CNI plugins connect it. Killed in
between, it takes the container for a complete network when it starts again, and the tasks have no address and no ports.
Without the container, Nomad makes the network anew. A container that tasks share the network of is never touched.

Usage: `python -m environments.providers.local_cluster.agents.nomad_start NOMAD agent -config FILE`
"""

import json
import os
import sys
import time
from pathlib import Path

LISTINGS, PAUSE = 8, 0.25
"""How often containers are listed, and seconds in between: the engine completes what a killed Nomad has requested."""


def main(command: list[str]) -> None:
    """Becomes the command, whose last word is Nomad's configuration file. Raises `OSError` if it can't be started."""
    try:
        remove_unused(Path(json.loads(Path(command[-1]).read_text())["data_dir"]))
    except Exception as error:  # noqa: BLE001 - Nomad has to start: its other allocations are complete
        print(f"Unused networks of allocations can't be removed: {error}", file=sys.stderr, flush=True)
    os.execvp(command[0], command)  # noqa: S606


def remove_unused(data: Path) -> list[str]:
    """Removes the networks without tasks of the allocations below this data folder; gives the allocations.

    Raises `MachineError` if the engine refuses that.
    """
    folder = data / "alloc"
    if not folder.is_dir() or not any(folder.iterdir()):
        return []
    # Imported when it is needed: a first start of Nomad doesn't wait for it.
    from environments.providers.local_cluster.agents import leftovers, networks

    removed: list[str] = []
    for number in range(LISTINGS):
        time.sleep(PAUSE if number else 0)
        removed += leftovers.remove_unused_holders(leftovers.allocations_of(data))
    for allocation in removed:
        print(f"The network of allocation {allocation} had no tasks yet and is made anew.", file=sys.stderr, flush=True)
    networks.drop_leases(removed)
    return removed


if __name__ == "__main__":
    main(sys.argv[1:])
