"""Runs Caddy as a child: started with a configuration that no file holds, moved to another one without losing a
connection, and stopped."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .admin import LoadFailed, accepts, load
from .configuration import Generation, Json
from .listeners import SETS, Listeners

LOAD_SECONDS = 20.0
"""Time limit for Caddy to take a configuration, beside the time that it keeps the one before."""

STOP_SECONDS = 13.0
"""How long it may take to end before it is killed: it accepts connections for some seconds, and then waits for requests
in progress. Event streams never end by themselves."""

_PAUSE = 0.01

Make = Callable[[Generation], Json]
"""Makes the configuration for where it will listen."""


class Caddy:
    """A Caddy that serves one *generation* of its configuration after the other.

    Each generation listens on the set of sockets that the one before doesn't use. `draining` is how long, in seconds,
    a generation still accepts after it has been left; `configuration.Limits` says what for.
    """

    def __init__(self, program: str, folder: Path, listeners: Listeners, make: Make, draining: float) -> None:
        self._program = program
        self._folder = folder
        self._listeners = listeners
        self._make = make
        self._draining = draining
        self._number = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._loading: _Loading | None = None
        self._switching = threading.Lock()

    def start(self, stderr: IO[bytes] | None = None) -> None:
        """Starts it with the first generation. Raises OSError."""
        wanted = self._make(self._generation(0))
        self._child = start(self._program, self._folder, wanted, stderr, self._listeners.descriptors)

    def switch(self) -> None:
        """Makes the configuration again, and moves to it: new connections get it when this returns.

        What has begun goes on with the one before, and so do connections that send their first request within
        `draining` seconds (`settle`). Waits until an earlier move has settled. Raises `LoadFailed` if the configuration
        stays.
        """
        with self._switching, _as_load_failed():
            self._finish()
            number = self._number + 1
            generation = self._generation(number)
            loading = _Loading(self._folder / "admin.sock", self._make(generation), self._draining + LOAD_SECONDS)
            loading.start()
            while True:
                over = not loading.is_alive()
                if accepts(generation.ready):
                    break
                if over:
                    loading.result()
                    raise LoadFailed("Caddy took the configuration, and doesn't run it.")
                time.sleep(_PAUSE)
            self._listeners.steer(number % SETS)
            self._number, self._loading = number, loading

    def settle(self) -> None:
        """Waits until the configuration before has been left: then no connection gets it any more. Raises
        `LoadFailed`."""
        with self._switching, _as_load_failed():
            self._finish()

    def _finish(self) -> None:
        loading, self._loading = self._loading, None
        if loading is None:
            return
        try:
            loading.result()
        except LoadFailed:
            self._number -= 1
            self._listeners.steer(self._number % SETS)
            raise

    def ended(self) -> int | None:
        """Its exit status; None while it runs."""
        assert self._child is not None, "it was never started"
        return self._child.poll()

    def stop(self) -> None:
        """Lets it end what it does, for some seconds."""
        assert self._child is not None, "it was never started"
        self._child.terminate()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _generation(self, number: int) -> Generation:
        return Generation(self._listeners.names(number % SETS), self._folder / f"up-{number}.sock")


@contextmanager
def _as_load_failed() -> Iterator[None]:
    """What the system refuses, such as one more socket, is a move that failed: the edge goes on with what it has."""
    try:
        yield
    except OSError as error:
        raise LoadFailed(f"{error.strerror or error}.") from error


class _Loading(threading.Thread):
    """Loads a configuration beside what goes on meanwhile."""

    def __init__(self, path: Path, wanted: Json, limit: float) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._wanted = wanted
        self._limit = limit
        self._failure: LoadFailed | None = None

    def run(self) -> None:
        try:
            load(self._path, self._wanted, self._limit)
        except LoadFailed as failure:
            self._failure = failure

    def result(self) -> None:
        """Waits for the end. Raises `LoadFailed`."""
        self.join()
        if self._failure is not None:
            raise self._failure


def start(
    program: str,
    folder: Path,
    configuration: Json,
    stderr: IO[bytes] | None = None,
    inherited: tuple[int, ...] = (),
) -> "subprocess.Popen[bytes]":
    """Starts Caddy, which gets its configuration by a pipe and writes nothing outside of `folder`. Raises OSError.

    `stderr`: where it logs to; None: where this process does. `inherited`: file descriptors that it gets as well.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    child = subprocess.Popen(
        [program, "run", "--config", "-"],
        stdin=subprocess.PIPE,
        stderr=stderr,
        env=_inherited(os.environ) | environment,
        cwd=folder,
        pass_fds=inherited,
    )
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(configuration).encode())
        child.stdin.close()
    except BrokenPipeError:
        pass  # it has ended already, and its log says why
    return child


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What Caddy needs of this process's variables: no address of a proxy, no token."""
    return {
        name: environment[name] for name in ("PATH", "LANG", "TZ", "GOMAXPROCS", "GOMEMLIMIT") if name in environment
    }
