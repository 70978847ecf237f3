"""Removes what a Nomad agent that ended leaves on the machine: containers, loggers, mounts, cgroup folders."""

import ctypes
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from environments.domain.errors import MachineError
from environments.mounts import mount_points
from environments.providers.local_cluster.agents import engine, processes
from environments.providers.local_cluster.agents.patience import wait_for
from environments.shared_places import used_by_jobs

_ALLOCATION_LABEL = "com.hashicorp.nomad.alloc_id"
HOLDER = "nomad_init_"
"""What the names of the containers begin with that hold the network of an allocation, before its id."""
_CGROUPS = Path("/sys/fs/cgroup")
_HELPERS = frozenset({b"logmon", b"docker_logger", b"executor"})
"""First arguments of the processes that a Nomad agent starts beside containers, and that outlive it."""


def clear(data: Path, cgroups: Sequence[str], *, certain: bool = True) -> bool:
    """Removes everything that the agent with this data folder and these cgroups left. It must have ended itself.

    Other agents may use the same Docker engine and the same machine, whether they run or not. So a thing is removed
    only if this data folder proves that it is ours: a container with a mount below it, the container whose network
    such a one uses, a helper with an open file below it, a mount point below it. Nothing else uses the names `cgroups`.
    `certain`: this folder is no copy of another agent's; then the ids of allocations in it count, too: for cgroups that
    are named after them, and for containers that hold a network which nobody uses.

    Returns whether the engine answered. Raises `MachineError` naming what can't be removed.
    """
    allocations = allocations_of(data) if certain else frozenset()
    refused: MachineError | None = None
    answered = True
    try:
        answered = remove_containers_below((data,), allocations)
    except MachineError as error:  # the rest can be removed
        refused = error
    processes.stop(helpers_of(data), patience=5)
    for mount in mounts_below(data):
        _unmount(mount)

    def folders() -> list[Path]:
        return [*cgroup_folders(*cgroups), *scopes_of(allocations)]

    # A process in a cgroup may need a moment to end.
    wait_for(lambda: all(_remove_cgroup(folder) for folder in folders()), 5)
    if refused is not None:
        raise refused
    remaining = [*mounts_below(data), *folders()]
    if remaining:
        raise MachineError(
            f"Nomad left behind what can't be removed: {', '.join(map(str, remaining))}.",
            hint="End what still uses it, then run `doit undeploy` again.",
        )
    return answered


def remove_containers_below(folders: Collection[Path], allocations: Collection[str]) -> bool:
    """Removes the containers of Nomad with a mount below these folders, and what holds their networks.

    Also what holds the network of one of the `allocations` that nobody uses. Returns whether the engine answered.
    Raises `MachineError` naming those that it doesn't remove.
    """

    def find() -> list[str]:
        containers = engine.containers({"label": [_ALLOCATION_LABEL]})
        tasks = [found["Id"] for found in containers if any(_mounts_below(folder, found) for folder in folders)]
        return [*tasks, *_holders_for(tasks, containers, allocations)]

    return engine.remove_containers(find)


def leave(data: Path, former: Path, volumes: Path, alone: bool) -> None:
    """Ends the tasks of an agent whose data folder was moved, and what else uses its `former` folder and `volumes`.

    Not `alone`: another agent has those now, or they are elsewhere. Then what is below them is ours only if it is of an
    allocation whose folder is here, and not there. The allocations stay, and the next start of the agent begins their
    tasks again. Raises `MachineError` naming what the engine doesn't remove.
    """
    allocations = {name for name in allocations_of(data) if not (former / "alloc" / name).exists()}

    def is_ours(container: Mapping[str, Any]) -> bool:
        if _mounts_below(data, container):
            return True
        label = (container["Labels"] or {}).get(_ALLOCATION_LABEL)
        if not alone:
            return label in allocations and _mounts_below(former, container)
        return any(_mounts_below(folder, container) for folder in (former, volumes))

    def find() -> list[str]:
        containers = engine.containers({})
        tasks = [container["Id"] for container in containers if is_ours(container)]
        return [*tasks, *_holders_for(tasks, containers, allocations)]

    engine.remove_containers(find)
    folders = (former, volumes) if alone else ()
    for folder in (data, *folders):
        processes.stop(helpers_of(folder), patience=5)
    for folder in folders:
        for mount in mounts_below(folder):
            _unmount(mount)


def clear_volumes(volumes: Path) -> None:
    """Removes what still uses a folder for jobs: containers that a job asked the engine for, and mounts.

    Where the folder is elsewhere, others may use what is beside our own volumes there.
    """
    used = used_by_jobs(volumes)
    engine.remove_containers(lambda: [id_ for folder in used for id_ in _containers_with_mounts_below(folder, {})])
    for folder in used:
        for mount in mounts_below(folder):
            _unmount(mount)


def containers_of(data: Path) -> list[str]:
    """Ids of the containers, running or not, that use a folder below an agent's data folder."""
    return _containers_with_mounts_below(data, {"label": [_ALLOCATION_LABEL]})


def _holders_for(
    tasks: Collection[str], containers: Sequence[Mapping[str, Any]], allocations: Collection[str]
) -> list[str]:
    """Ids of the containers whose network one of the `tasks` uses, or nobody if it is that of an allocation."""
    found = []
    for allocation, holder in _holders(containers).items():
        users = {container["Id"] for container in containers if _network_of(container) == holder}
        if users & set(tasks) or (not users and allocation in allocations):
            found.append(holder)
    return found


def _network_of(container: Mapping[str, Any]) -> str:
    """The id of the container whose network it uses; empty if it has another one."""
    mode = str((container.get("HostConfig") or {}).get("NetworkMode", ""))
    return mode.removeprefix("container:") if mode.startswith("container:") else ""


def _holders(containers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Allocation → id of the container that holds its network."""
    return {
        name.removeprefix(f"/{HOLDER}"): str(container["Id"])
        for container in containers
        for name in container["Names"]
        if name.startswith(f"/{HOLDER}")
    }


def remove_unused_holders(allocations: Collection[str]) -> list[str]:
    """Removes containers that hold the networks of allocations without a container of a task; gives the allocations.

    Raises `MachineError` if the engine refuses that.
    """
    removed: list[str] = []

    def find() -> list[str]:
        unused = unused_holders(engine.containers({"label": [_ALLOCATION_LABEL]}), allocations)
        removed.extend(unused)
        return list(unused.values())

    engine.remove_containers(find)
    return removed


def unused_holders(containers: Sequence[Mapping[str, Any]], allocations: Collection[str]) -> dict[str, str]:
    """Allocation → id of the container that holds its network, where no container of a task uses that.

    `containers`: as the engine lists them, all that have Nomad's label.
    """
    holders = _holders(containers)
    held = set(holders.values())
    used = {container["Labels"][_ALLOCATION_LABEL] for container in containers if container["Id"] not in held}
    return {name: id_ for name, id_ in holders.items() if name in allocations and name not in used}


def helpers_of(data: Path) -> list[int]:
    """Ids of the helpers of an agent (`logmon`, `docker_logger`) that have a file below its data folder open."""
    lines = dict(processes.command_lines())
    return [pid for pid in processes.holding_files_below(data) if _HELPERS & set(lines.get(pid, ())[1:2])]


def allocations_of(data: Path) -> frozenset[str]:
    """Ids of the allocations that an agent keeps a folder for."""
    folder = data / "alloc"
    return frozenset(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else frozenset()


def scopes_of(allocations: Collection[str]) -> list[Path]:
    """Cgroups of tasks of these allocations (`<allocation>.<task>`, with cgroup v2 `<allocation>.<task>.scope`).

    All agents of a machine share the folders around them, `nomad` or `nomad.slice` with what is in it for shared and
    reserved cores. Those stay: another agent, perhaps stopped or in a container, may need them.
    """
    return [
        scope
        for place in ("*/nomad/*", "*/nomad/*/*", "nomad.slice/*/*")
        for scope in sorted(_CGROUPS.glob(place))
        if scope.name.partition(".")[0] in allocations
    ]


def _containers_with_mounts_below(folder: Path, filters: Mapping[str, Sequence[str]]) -> list[str]:
    return [container["Id"] for container in engine.containers(filters) if _mounts_below(folder, container)]


def _mounts_below(folder: Path, container: Mapping[str, Any]) -> bool:
    beginnings = tuple({f"{folder}/", f"{folder.resolve()}/"})
    return any(mount.get("Source", "").startswith(beginnings) for mount in container.get("Mounts") or ())


def mounts_below(folder: Path) -> list[Path]:
    """Mount points below a folder, the deepest first."""
    above = folder.resolve()
    found = [point for point in mount_points() if point != above and point.is_relative_to(above)]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def cgroup_folders(*names: str) -> list[Path]:
    """Folders of cgroups in every hierarchy, the deepest first."""
    roots = [path for name in names for path in (_CGROUPS / name, *_CGROUPS.glob(f"*/{name}")) if path.is_dir()]
    folders = {Path(folder) for root in roots for folder, _, _ in os.walk(root)}
    return sorted(folders, key=lambda path: len(path.parts), reverse=True)


def _unmount(mount: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    detach_when_unused = 2  # MNT_DETACH of umount2(2)
    if libc.umount2(os.fsencode(mount), 0) != 0:
        libc.umount2(os.fsencode(mount), detach_when_unused)


def _remove_cgroup(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
