"""Nomad's event stream, and the listings that precede it.

Measured with Nomad 1.10: a stream of all namespaces has events of the namespaces that existed when it was opened, and
not of later ones, whatever the token's rights are. Without an index it begins with the past events that the server
still has (100 transactions). It sends a heartbeat every 10 s. If the token has expired, the stream ends at the next
event. The event for a purged job is `JobDeregistered`, with the job as it was before.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import requests

from environments.domain.errors import BackendError, BackendUnavailable
from environments.providers.backend.connections import Connections, Endpoint
from environments.providers.backend.link import Link
from environments.providers.backend.streaming import Stream, StreamClient, explain
from environments.providers.nomad.answers import allocation, seen_task
from environments.steps.cluster_events import GoneJob, Happening, Listing, SeenInstance, SeenJob

_SILENCE = 35.0
"""Seconds that may pass between two lines; Nomad sends a heartbeat every 10 s."""

_LISTING = 60.0
"""Seconds that Nomad may take before it sends the first byte of a listing of a large cluster."""

_LARGEST = 1_000_000
"""Characters of one allocation or job in a listing."""

_TOPICS = ("Allocation", "Job")
_FORGETS = frozenset({"JobDeregistered", "JobBatchDeregistered"})


class NomadFeed:
    """Implements `JobFeed`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._link: Link[StreamClient] = Link("nomad", connections, _build, explain)

    def open(self) -> "NomadStream":
        """A stream of all existing namespaces."""
        namespaces = frozenset(found["Name"] for found in self.list("list namespaces", "/v1/namespaces", {}))
        query = {"namespace": "*", "topic": _TOPICS}
        stream = self._link.call(
            "follow its events", lambda client: client.open("/v1/event/stream", query, silence=_SILENCE)
        )
        return NomadStream(self, stream, namespaces)

    def list(self, doing: str, path: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Reads a list of any length. Raises `BackendError`."""

        def read(client: StreamClient) -> list[dict[str, Any]]:
            answer = client.open(path, query, silence=_LISTING, begins_within=_LISTING)
            try:
                return list(answer.items(_LARGEST))
            finally:
                answer.close()

        return self._link.call(doing, read)


class NomadStream:
    """Implements `JobStream`."""

    def __init__(self, feed: NomadFeed, stream: Stream, namespaces: frozenset[str]) -> None:
        self.namespaces = namespaces
        self._feed = feed
        self._stream = stream

    def listing(self) -> Listing:
        """The jobs and the allocations of all namespaces."""
        every = {"namespace": "*"}
        jobs = self._feed.list("list jobs", "/v1/jobs/statuses", {**every, "include_children": "true"})
        unfinished = {**every, "filter": 'ClientStatus != "complete"'}
        instances = self._feed.list("list allocations", "/v1/allocations", unfinished)
        return Listing([_listed_job(item) for item in jobs], [_instance(item) for item in instances])

    def batches(self) -> Iterator[Sequence[Happening]]:
        """Each line of the stream is a batch: the changes of one transaction in Nomad."""
        lines = self._stream.lines()
        while True:
            try:
                line = next(lines, None)
            except requests.RequestException as error:
                raise BackendUnavailable(f"Nomad's stream of events was cut: {error}.") from error
            if line is None:
                if self._stream.closed:
                    return
                raise BackendUnavailable("Nomad ended its stream of events.")
            yield list(_happenings(line))

    def close(self) -> None:
        """Ends the stream."""
        self._stream.close()


def _build(endpoint: Endpoint, token: str, session: requests.Session) -> StreamClient:
    return StreamClient("nomad", endpoint, token)


def _happenings(line: bytes) -> Iterator[Happening]:
    try:
        found = json.loads(line) if line.strip() else {}
    except (ValueError, RecursionError) as error:
        raise BackendError("Nomad's stream of events can't be read.") from error
    if not isinstance(found, dict) or (found and not isinstance(found.get("Events"), list)):
        raise BackendUnavailable("Nomad ended its stream of events with an error.")
    for event in found.get("Events", ()):
        payload = event.get("Payload") or {}
        if item := payload.get("Allocation"):
            yield _instance(item)
        elif item := payload.get("Job"):
            if event.get("Type") in _FORGETS and not item.get("Stop"):
                yield GoneJob(item["Namespace"], item["ID"], event["Index"])
            else:
                yield _job(item)


def _job(item: Mapping[str, Any]) -> SeenJob:
    """A job as the API has it (JSON API, `Job`)."""
    return SeenJob(
        namespace=item["Namespace"],
        id=item["ID"],
        type=item.get("Type") or "service",
        count=sum(group.get("Count") or 0 for group in item.get("TaskGroups") or ()),
        stopped=bool(item.get("Stop")),
        index=item.get("ModifyIndex") or 0,
        parent=item.get("ParentID") or "",
        # A run of a parameterized job has that block too.
        starts_later=bool(item.get("Periodic") or item.get("ParameterizedJob")) and not item.get("ParentID"),
        submitted=item.get("SubmitTime") or 0,
        dead=item.get("Status") == "dead",
    )


def _listed_job(item: Mapping[str, Any]) -> SeenJob:
    """A job from the list of all jobs; only a job that starts others has the states of those."""
    return SeenJob(
        namespace=item["Namespace"],
        id=item["ID"],
        type=item["Type"],
        count=item["GroupCountSum"],
        stopped=item["Stop"],
        index=item["ModifyIndex"],
        parent=item["ParentID"],
        starts_later=item["ChildStatuses"] is not None and not item["ParentID"],
        submitted=item["SubmitTime"],
        dead=item.get("Status") == "dead",
    )


def _instance(item: Mapping[str, Any]) -> SeenInstance:
    """An allocation, as a whole or from a list. Events leave out empty fields."""
    found = allocation({"JobVersion": 0, **item})
    return SeenInstance(
        namespace=item["Namespace"],
        job=item["JobID"],
        id=found.id,
        group=found.group,
        node=item.get("NodeName") or item.get("NodeID") or "",
        desired=found.desired,
        client=found.client,
        index=item["ModifyIndex"],
        at=item.get("ModifyTime") or 0,
        replaced=bool(item.get("NextAllocation")),
        delayed=bool(item.get("FollowupEvalID")),
        tasks=tuple(map(seen_task, found.tasks)),
    )
