"""Runs Caddy as a child: started with a configuration that no file holds, reloaded on SIGHUP, stopped on SIGTERM."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from .configuration import Json

RELOAD_SECONDS = 20.0
"""Time limit for Caddy to take a configuration."""

STOP_SECONDS = 8.0
"""How long requests in progress may take to end before they are cut; event streams never end by themselves."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

Signals = SimpleQueue[int]
"""Numbers of signals in the order in which they came. Unlike a lock, its `put` may run inside of a signal handler."""


class ReloadFailed(Exception):
    """Caddy kept its configuration; the message is one sentence."""


class _Admin(http.client.HTTPConnection):
    """Caddy's admin API on its socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("caddy", timeout=RELOAD_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(RELOAD_SECONDS)
        self.sock.connect(str(self._path))


def reload(path: Path, configuration: Json) -> None:
    """Gives the Caddy at the socket `path` a configuration; it reads certificates again even if nothing else changed.

    Requests and streams in progress go on. Raises `ReloadFailed`.
    """
    admin = _Admin(path)
    try:
        headers = {"Content-Type": "application/json", "Cache-Control": "must-revalidate"}
        admin.request("POST", "/load", json.dumps(configuration), headers)
        answer = admin.getresponse()
        told = answer.read(4096).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise ReloadFailed(f"Caddy doesn't answer at {path}: {error}.") from error
    finally:
        admin.close()
    if answer.status != 200:
        raise ReloadFailed(f"Caddy refuses the configuration: {told or answer.status}")


def start(
    program: str, folder: Path, configuration: Json, stderr: IO[bytes] | None = None
) -> "subprocess.Popen[bytes]":
    """Starts Caddy, which gets its configuration by a pipe and writes nothing outside of `folder`. Raises OSError.

    `stderr`: where it logs to; None: where this process does.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    child = subprocess.Popen(
        [program, "run", "--config", "-"],
        stdin=subprocess.PIPE,
        stderr=stderr,
        env=_inherited(os.environ) | environment,
        cwd=folder,
    )
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(configuration).encode())
        child.stdin.close()
    except BrokenPipeError:
        log("Caddy ended before it had read its configuration.")
    return child


def follow(child: "subprocess.Popen[bytes]", signals: Signals, path: Path, configuration: Json) -> int:
    """Does what the `signals` of `listen` say until Caddy ends; its exit status, 0 after SIGTERM and SIGINT."""
    while True:
        received = signals.get()
        if received == signal.SIGHUP:
            try:
                reload(path, configuration)
                log("The certificate is read again.")
            except ReloadFailed as error:
                log(f"The certificate isn't read again: {error}")
        elif received != signal.SIGCHLD:
            child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            return 0
        if child.poll() is not None:
            return child.returncode


def listen() -> Signals:
    """The signals that this process receives from here on; call it before `start`, so that none is lost."""
    received: Signals = SimpleQueue()
    for number in _SIGNALS:
        signal.signal(number, lambda number, _frame: received.put(number))
    return received


def log(line: str) -> None:
    """A line for people on standard error."""
    print(f"edge: {line}", file=sys.stderr, flush=True)


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What Caddy needs of this process's variables: no address of a proxy, no token."""
    return {
        name: environment[name] for name in ("PATH", "LANG", "TZ", "GOMAXPROCS", "GOMEMLIMIT") if name in environment
    }
