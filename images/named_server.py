"""Connections to a server whose certificate must have another name than the host of the address."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter


def named_session(server_name: str) -> requests.Session:
    """A session that accepts certificates with that name only; empty: those for the host of the address."""
    session = requests.Session()
    if server_name:
        session.mount("https://", _NamedServer(server_name))
    return session


class _NamedServer(HTTPAdapter):
    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """The pool of all connections."""
        super().init_poolmanager(*arguments, **options, server_hostname=self._name)
