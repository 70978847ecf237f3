"""Clears away what a Nomad agent that ended leaves on the machine: containers, loggers, mounts, cgroup folders."""

import ctypes
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from environments.adapters.agents import engine, processes
from environments.domain.errors import MachineError

_ALLOCATION_LABEL = "com.hashicorp.nomad.alloc_id"
_CGROUPS = Path("/sys/fs/cgroup")


def clear(data: Path, cgroups: Sequence[str]) -> None:
    """Removes everything that the agent with this data folder and these cgroups left. It must have ended itself.

    Raises `MachineError` naming what can't be removed.
    """
    _remove_containers(lambda: containers_of(data))
    processes.stop(processes.holding_files_below(data), patience=5)
    for mount in mounts_below(data):
        _unmount(mount)
    # A process in a cgroup may need a moment to end.
    processes.wait_for(lambda: all(_remove_cgroup(folder) for folder in cgroup_folders(*cgroups)), 5)
    remaining = [*mounts_below(data), *cgroup_folders(*cgroups)]
    if remaining:
        raise MachineError(
            f"Nomad left behind what can't be removed: {', '.join(map(str, remaining))}.",
            hint="End what still uses it, then run `doit undeploy` again.",
        )


def clear_volumes(volumes: Path) -> None:
    """Removes what still uses a folder for jobs: containers that a job asked the engine for, and mounts."""
    _remove_containers(lambda: _containers_with_mounts_below(volumes, {}))
    for mount in mounts_below(volumes):
        _unmount(mount)


def containers_of(data: Path) -> list[str]:
    """Ids of the containers, running or not, that use a folder below an agent's data folder."""
    return _containers_with_mounts_below(data, {"label": [_ALLOCATION_LABEL]})


def _containers_with_mounts_below(folder: Path, filters: Mapping[str, Sequence[str]]) -> list[str]:
    with _docker() as client:
        containers = _answer(client, "GET", f"/containers/json?all=true&filters={quote(json.dumps(filters))}")
    prefix = f"{folder}/"
    return [
        container["Id"]
        for container in containers
        if any(mount.get("Source", "").startswith(prefix) for mount in container.get("Mounts", []))
    ]


def mounts_below(folder: Path) -> list[Path]:
    """Mount points below a folder, the deepest first (proc_pid_mountinfo(5), field 5, octal escapes)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(f"{folder}/"):
            found.append(Path(point))
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def cgroup_folders(*names: str) -> list[Path]:
    """Folders of cgroups in every hierarchy, the deepest first."""
    roots = [path for name in names for path in (_CGROUPS / name, *_CGROUPS.glob(f"*/{name}")) if path.is_dir()]
    folders = {Path(folder) for root in roots for folder, _, _ in os.walk(root)}
    return sorted(folders, key=lambda path: len(path.parts), reverse=True)


def _remove_containers(find: Callable[[], list[str]]) -> None:
    try:
        for container in find():
            with _docker() as client:
                _answer(client, "DELETE", f"/containers/{container}?force=true&v=true")
    except httpx2.HTTPError:
        return  # no Docker, no containers


def _docker() -> httpx2.Client:
    transport = httpx2.HTTPTransport(uds=str(engine.socket_path()))
    return httpx2.Client(transport=transport, base_url="http://docker", timeout=30)


def _answer(client: httpx2.Client, method: str, path: str) -> Any:
    response = client.request(method, path)
    if response.status_code in (404, 409):
        return None  # gone, or going
    response.raise_for_status()
    return response.json() if response.content else None


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
