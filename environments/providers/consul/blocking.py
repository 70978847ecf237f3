"""Blocking queries of Consul (Consul API, Blocking Queries): each answers when something has changed since an index."""

from collections.abc import Mapping
from typing import Any

import requests

from environments.providers.backend.connections import Endpoint
from environments.providers.backend.link import CALL_LIMIT
from environments.providers.backend.streaming import Stream, StreamClient


def build_stream(endpoint: Endpoint, token: str, session: requests.Session) -> StreamClient:
    """The client of answers without an end, for `Link`."""
    return StreamClient("consul", endpoint, token)


def open_blocking(client: StreamClient, path: str, query: Mapping[str, Any], index: int, wait: float) -> Stream:
    """The answer to a query that waits for a change after `index`, at most `wait` seconds; with 0 it doesn't wait."""
    waiting = {"index": index, "wait": f"{int(wait * 1000)}ms"} if index else {}
    # Consul adds up to a sixteenth to the wait, so that not all queries return at the same time.
    within = CALL_LIMIT + (wait * 17 / 16 if index else 0)
    return client.open(path, {**query, **waiting}, silence=CALL_LIMIT, begins_within=within)


def index_of(headers: Mapping[str, str]) -> int:
    """The index for the next query, at least 1 as Consul's documentation asks; 0 if the answer has none."""
    told = headers.get("X-Consul-Index", "")
    return max(1, int(told)) if told.isdecimal() else 0
