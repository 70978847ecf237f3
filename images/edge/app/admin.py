"""Caddy's admin API on its socket: it takes a whole configuration."""

import http.client
import json
import socket
from pathlib import Path

from .configuration import Json


class LoadFailed(Exception):
    """Caddy kept its configuration; the message is one sentence."""


class _Admin(http.client.HTTPConnection):
    def __init__(self, path: Path, limit: float) -> None:
        super().__init__("caddy", timeout=limit)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def load(path: Path, configuration: Json, limit: float) -> None:
    """Gives the Caddy whose socket is `path` a configuration. It answers, within `limit` seconds, once it has left the
    one before.

    Raises `LoadFailed`.
    """
    admin = _Admin(path, limit)
    try:
        admin.request("POST", "/load", json.dumps(configuration), {"Content-Type": "application/json"})
        answer = admin.getresponse()
        told = answer.read(4096).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise LoadFailed(f"Caddy doesn't answer at {path}: {error}.") from error
    finally:
        admin.close()
    if answer.status != 200:
        raise LoadFailed(f"Caddy refuses the configuration: {told or answer.status}")


def accepts(path: Path) -> bool:
    """Whether something listens on the socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(str(path)) == 0
