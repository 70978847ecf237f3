"""Watches keys of Consul for triggers: one blocking query reads a prefix."""

import base64
import contextlib
import hashlib
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from environments.domain.errors import BackendError
from environments.providers.backend.connections import Connections
from environments.providers.backend.link import Link
from environments.providers.backend.streaming import Refused, StreamClient, explain
from environments.providers.consul.blocking import build_stream, index_of, open_blocking
from environments.steps.source_ports import MOST_BYTES, MOST_KEYS, WatchedKey

_LARGEST = 1_000_000
"""Characters of one key with its value; Consul takes values of 512 KB, and gives them in base64."""

_SHOWN = 1000
"""Characters of a value that are kept."""


class ConsulKeyFeed:
    """Implements `KeyFeed`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._link: Link[StreamClient] = Link("consul", connections, build_stream, explain)

    def below(self, prefix: str, index: int, wait: float) -> tuple[int, Mapping[str, WatchedKey]]:
        """One blocking query (Consul API, `/v1/kv`); it answers 404 while there is no such key."""
        path = f"/v1/kv/{urllib.parse.quote(prefix)}"

        def ask(client: StreamClient) -> tuple[int, Mapping[str, WatchedKey]]:
            try:
                answer = open_blocking(client, path, {"recurse": "true"}, index, wait)
            except Refused as error:
                if error.fault.status != 404:
                    raise
                return index_of(error.headers), {}
            with contextlib.closing(answer):
                return index_of(answer.headers), _keys(prefix, answer.items(_LARGEST))

        newest, found = self._link.call("watch keys", ask)
        return (newest if newest >= index else 0), found


def _keys(prefix: str, items: Any) -> dict[str, WatchedKey]:
    found: dict[str, WatchedKey] = {}
    size = 0
    for item in items:
        value = base64.b64decode(item["Value"] or "")
        size += len(value)
        if len(found) == MOST_KEYS or size > MOST_BYTES:
            raise BackendError(
                f"Consul has more than {MOST_KEYS} keys or {MOST_BYTES >> 20} MiB below {prefix}: they aren't watched.",
                hint="Let the trigger's condition on the key name a longer prefix, or one key.",
            )
        try:
            text = value.decode()[:_SHOWN]
        except UnicodeDecodeError:
            text = ""
        digest = hashlib.sha256(value).hexdigest()[:32]
        found[item["Key"]] = WatchedKey(int(item["ModifyIndex"]), digest, text, int(item["Flags"]))
    return found
