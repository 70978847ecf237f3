"""Answers of a forge's API as its documentation shows them, for clients that call no network."""

import json
from collections.abc import Mapping
from typing import Any

import requests


class Answers(requests.Session):
    """A session that answers from a table of method and path, and remembers what was asked."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        """`table`: `GET /repos/a/b` → a body, or a tuple of status, body and headers, or a list of such, one a call."""
        super().__init__()
        self.table = dict(table)
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []

    def request(self, method: str, url: str, **more: Any) -> requests.Response:  # type: ignore[override]
        """The next answer for it; 404 where there is none."""
        path = "/" + str(url).split("://", 1)[1].split("/", 1)[1]
        query = more.get("params") or {}
        self.asked.append((str(method), path, more.get("json"), dict(more.get("headers") or {})))
        key = f"{method} {path}"
        if "page" in query and f"{key}?page={query['page']}" in self.table:
            key = f"{key}?page={query['page']}"
        found = self.table.get(key, (404, {"message": "Not Found"}, {}))
        if isinstance(found, list) and found and isinstance(found[0], tuple):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            raise found
        status, body, headers = found if isinstance(found, tuple) else (200, found, {})
        response = requests.Response()
        response.status_code = status
        response.headers.update(headers)
        response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return response
