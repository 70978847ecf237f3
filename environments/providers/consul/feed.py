"""Reads all critical checks of Consul with one query."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from environments.domain.names import SERVICE_MARK
from environments.providers.backend.connections import Connections
from environments.providers.backend.link import Link
from environments.providers.backend.streaming import StreamClient, explain
from environments.providers.consul.blocking import build_stream, index_of, open_blocking
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
        query = {"filter": f'ServiceName contains "{SERVICE_MARK}"'}

        def ask(client: StreamClient) -> tuple[int, Sequence[Check]]:
            with contextlib.closing(open_blocking(client, "/v1/health/state/critical", query, index, wait)) as answer:
                return index_of(answer.headers), list(_some(answer.items(_LARGEST)))

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
