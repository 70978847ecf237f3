"""Starts Nomad, after removing networks of allocations in which no task runs yet.

Nomad first starts the container that holds the network of an allocation, then has the CNI plugins connect it. Killed in
between, it takes the container for a complete network when it starts again, and the tasks have no address and no ports.
Without the container, Nomad makes the network anew. A container that tasks share the network of is never touched.

Where jobs are isolated, allocations that Nomad has connected without our plugin of CNI are recorded, and their rules
written.

Usage: `python -m environments.providers.local_cluster.agents.nomad_start NOMAD agent -config FILE`
"""

import json
import os
import sys
import time
from pathlib import Path

ISOLATION = "isolation"
"""The folder beside Nomad's data in which the isolation of jobs keeps its records; see `isolation.records`."""

LISTINGS, PAUSE = 8, 0.25
"""How often containers are listed, and seconds in between: the engine completes what a killed Nomad has requested."""


def main(command: list[str]) -> None:
    """Becomes the command, whose last word is Nomad's configuration file. Raises `OSError` if it can't be started."""
    try:
        data = Path(json.loads(Path(command[-1]).read_text())["data_dir"])
        remove_unused(data)
        isolate(data.parent / ISOLATION)
    except Exception as error:  # noqa: BLE001 - Nomad has to start: its other allocations are complete
        print(f"Networks of allocations can't be put right: {error}", file=sys.stderr, flush=True)
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


def isolate(folder: Path) -> None:
    """Records allocations that ran before the isolation was switched on, if it is. Raises `MachineError`."""
    if folder.is_dir():
        from environments.providers.local_cluster.isolation import keeping

        keeping.adopt(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
