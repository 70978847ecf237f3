"""Reads all critical checks of Consul with one query."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import requests

from environments.domain.names import SERVICE_MARK
from environments.providers.backend.connections import Connections, Endpoint
from environments.providers.backend.link import CALL_LIMIT, Link
from environments.providers.backend.streaming import StreamClient, explain
from environments.steps.cluster_events import MOST_CHECKS, Check

CHECK_KIND = "consul.check"
"""The kind of a resource that is a check, in reports of critical checks."""

_LARGEST = 200_000
"""Characters of one check; Consul's agents keep 4 KB of its output by default."""

_MOST = 200_000
"""The most checks that are read: a job may register any number."""

_KEPT = 2000
"""Characters of an output that are kept."""


class ConsulFeed:
    """Implements `CheckFeed`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._link: Link[StreamClient] = Link("consul", connections, build_stream, explain)

    def critical(self, index: int, wait: float) -> tuple[int, Sequence[Check]]:
        """One blocking query (Consul API, `/v1/health/state/critical`)."""
        query: dict[str, Any] = {"filter": f'ServiceName contains "{SERVICE_MARK}"'}
        if index:
            query |= {"index": index, "wait": f"{int(wait * 1000)}ms"}

        def ask(client: StreamClient) -> tuple[int, Sequence[Check]]:
            # Consul adds up to a sixteenth to the wait, so that not all queries return at the same time.
            within = CALL_LIMIT + (wait * 17 / 16 if index else 0)
            answer = client.open("/v1/health/state/critical", query, silence=CALL_LIMIT, begins_within=within)
            with contextlib.closing(answer):
                newest = answer.headers.get("X-Consul-Index", "")
                return int(newest) if newest.isdecimal() else 0, list(_some(answer.items(_LARGEST)))

        newest, found = self._link.call("follow its checks", ask)
        return max(newest, 1) if newest >= index else 0, found


def _some(items: Iterator[Any]) -> Iterator[Check]:
    told: Counter[str] = Counter()
    for number, item in enumerate(items):
        if number >= _MOST:
            return
        service = item["ServiceName"]
        owner = service.partition(SERVICE_MARK)[0]
        told[owner] += 1
        if told[owner] <= MOST_CHECKS:
            name, output = item["Name"] or item["CheckID"], (item["Output"] or "")[:_KEPT]
            yield Check(CHECK_KIND, service, item["ServiceID"], name, output)


def build_stream(endpoint: Endpoint, token: str, session: requests.Session) -> StreamClient:
    """The client of answers without an end, for `Link`."""
    return StreamClient("consul", endpoint, token)
