"""Reads what tasks write: the files in the folder `alloc/logs` of an allocation, which Nomad fills and rotates.

A task can write into that folder itself, so only plain files with Nomad's names are looked at. They are read by their
numbers and offsets: the endpoint that joins them counts from the oldest one, which Nomad deletes meanwhile.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import nomad

from environments.domain.containers import ALLOCATION_ID, Container, LogFile, Stream
from environments.domain.errors import BackendError
from environments.providers.backend.connections import Connections
from environments.providers.backend.link import CALL_LIMIT, Link, Missing
from environments.providers.nomad.connection import build, explain

_FOLDER = "alloc/logs"
_NUMBERED = re.compile(r"\.(stdout|stderr)\.([0-9]{1,9})")
_OF_A_FILE = "X-Content-Type-Options"
"""A header that only the content of a file has. Measured with Nomad 1.10: a fault, such as a file that isn't there, is
answered with the status 200 as well, and a text that names folders of the node.
"""
_GONE = re.compile(r"unknown allocation|no such file|not found", re.IGNORECASE)
"""What a node answers, with any status, of files that it has deleted or not made yet."""


class NomadContainers:
    """Implements `environments.service.container_logs.ContainerSource`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._link: Link[nomad.Nomad] = Link("nomad", connections, build, explain)

    def containers(self, namespace: str) -> list[Container]:
        """The tasks of the namespace's allocations."""
        params = {"namespace": namespace}
        try:
            listed = self._link.call(
                "list allocations",
                lambda client: client.allocations.request(method="get", params=dict(params), timeout=CALL_LIMIT).json(),
            )
        except Missing:
            return []
        return [
            _container(item, task, state)
            for item in listed or ()
            if item.get("Namespace") == namespace and ALLOCATION_ID.fullmatch(str(item.get("ID")))
            for task, state in sorted((item.get("TaskStates") or {}).items())
        ]

    def files(self, namespace: str, container: Container) -> list[LogFile]:
        """Its files in the folder of logs."""
        params = {"namespace": namespace, "path": _FOLDER}
        listed = self._ask(
            "list its logs",
            lambda client: client.client.ls.request(
                container.allocation, method="get", params=dict(params), timeout=CALL_LIMIT
            ).json(),
        )
        found = (_file(item, container.task) for item in listed or ())
        return [file for file in found if file is not None]

    def read(self, namespace: str, container: Container, file: LogFile, offset: int, size: int) -> bytes:
        """A part of a file."""
        path = f"{_FOLDER}/{container.task}.{file.stream.value}.{file.number}"
        params = {"namespace": namespace, "path": path, "offset": offset, "limit": size}
        answer = self._ask(
            "read a log",
            lambda client: client.client.read_at.request(
                container.allocation, method="get", params=dict(params), timeout=CALL_LIMIT
            ),
        )
        return b"" if answer is None or _OF_A_FILE not in answer.headers else bytes(answer.content)[:size]

    def _ask(self, doing: str, use: Callable[[nomad.Nomad], Any]) -> Any:
        """What a node answers; None if it has no such thing."""
        try:
            return self._link.call(doing, use)
        except Missing:
            return None
        except BackendError as error:
            if not error.transient and _GONE.search(str(error.details.get("said", ""))):
                return None
            raise


def _file(item: Mapping[str, Any], task: str) -> LogFile | None:
    """A file of a list (Nomad API, `AllocFileInfo`), if it is one that Nomad wrote for the task."""
    name, size = str(item.get("Name", "")), item.get("Size")
    numbered = _NUMBERED.fullmatch(name.removeprefix(task)) if name.startswith(task) else None
    plain = not item.get("IsDir") and str(item.get("FileMode", "")).startswith("-")
    if numbered is None or not plain or not isinstance(size, int) or size < 0:
        return None
    return LogFile(Stream(numbered[1]), int(numbered[2]), size)


def _container(item: Mapping[str, Any], task: str, state: Mapping[str, Any]) -> Container:
    """A task of an allocation of a list (Nomad API, `AllocListStub`)."""
    ended = item.get("ClientStatus") in ("complete", "failed", "lost")
    return Container(
        job=item["JobID"],
        group=item["TaskGroup"],
        task=task,
        allocation=item["ID"],
        version=item.get("JobVersion") or 0,
        state="dead" if ended else state.get("State") or "pending",
        failed=bool(state.get("Failed")),
        restarts=state.get("Restarts") or 0,
        created_at=datetime.fromtimestamp((item.get("CreateTime") or 0) / 1e9, UTC),
        started_at=_moment(state.get("StartedAt")),
        finished_at=_moment(state.get("FinishedAt")),
    )


def _moment(text: Any) -> datetime | None:
    """A moment of Go's JSON (RFC 3339, up to nanoseconds); None for none, which Go writes as the year 1."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if found is None or found.year <= 1 else found.astimezone(UTC)
