"""The container engine of this machine: where it listens, its containers, and how they are removed."""

import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from environments.domain.cleaning import Cleaner
from environments.domain.errors import MachineError

_DEFAULT = "/var/run/docker.sock"


def socket_path() -> Path:
    """The socket that DOCKER_HOST names, or the usual one; what an address of another kind names is no such file."""
    return Path(os.environ.get("DOCKER_HOST", _DEFAULT).removeprefix("unix://"))


def socket() -> Path | None:
    """The socket itself, links followed; None when there is none."""
    path = socket_path().resolve()
    try:
        return path if stat.S_ISSOCK(path.stat().st_mode) else None
    except OSError:
        return None


def containers(filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The containers, running or not, as the engine lists them."""
    with _docker() as client:
        found: list[dict[str, Any]] = _answer(
            client, "GET", f"/containers/json?all=true&filters={quote(json.dumps(filters))}"
        )
    return found


def remove_containers(find: Callable[[], list[str]]) -> bool:
    """Removes containers, each whatever became of the others; returns whether the engine answered.

    Raises `MachineError` naming those that it doesn't remove, and why.
    """
    if socket() is None:
        return False
    refused = []
    try:
        for container in find():
            try:
                with _docker() as client:
                    _answer(client, "DELETE", f"/containers/{container}?force=true&v=true")
            except httpx2.HTTPStatusError as error:
                refused.append(f"{container[:12]} ({_reason(error)})")
    except httpx2.HTTPStatusError as error:
        refused.append(f"any ({_reason(error)})")
    except (httpx2.HTTPError, ValueError):
        return False  # or something else listens there
    if refused:
        raise MachineError(
            f"The container engine doesn't remove containers: {', '.join(refused)}.",
            hint="Remove them with `docker rm --force`, or restart the engine, then repeat the command.",
        )
    return True


def _reason(error: httpx2.HTTPStatusError) -> str:
    try:
        said = str(error.response.json()["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        said = f"status {error.response.status_code}"
    return Cleaner().clean(said, 300).strip()


def _docker() -> httpx2.Client:
    transport = httpx2.HTTPTransport(uds=str(socket_path()))
    return httpx2.Client(transport=transport, base_url="http://docker", timeout=30)


def _answer(client: httpx2.Client, method: str, path: str) -> Any:
    response = client.request(method, path)
    if response.status_code in (404, 409):
        return None  # removed, or being removed
    response.raise_for_status()
    return response.json() if response.content else None
