"""The local provisioning service: creates, repairs and removes the meta environment, and runs only while it does."""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from environments.authorities import PinnedAuthority
from environments.client import Client, connect
from environments.context import Context
from environments.domain.errors import CalvinverseError, Conflict, DatabaseInUse, ServiceUnavailable
from environments.domain.tokens import RANDOM_BYTES, known_token, token_secret
from environments.private_files import discard, open_private, write_private
from images.process_records import end_recorded
from jobs.local_certificate import local_certificate
from jobs.local_server import STOP_SECONDS
from jobs.places import Places, person

START_SECONDS = 120.0
"""Time limit in seconds for its first answer, on a busy machine too."""


@contextmanager
def exclusive(where: Places) -> Iterator[None]:
    """Locks the deployment for this process. Raises `Conflict` while another one runs, and `MachineError`."""
    with os.fdopen(open_private(where.lock), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another `doit deploy` or `doit undeploy` runs.", hint="Wait until it has ended.") from None
        yield


@contextmanager
def local_service(where: Places) -> Iterator[Client]:
    """Starts the local service on a free port of loopback and stops it afterwards. Raises `ServiceUnavailable`.

    It serves over TLS: a program that is faster at that port gets no token. One that an earlier deploy or undeploy left
    is ended first.
    """
    end_recorded(where.local_process, STOP_SECONDS)
    if (holder := _holder_of_database(where)) is not None:
        raise DatabaseInUse(
            f"Process {holder} uses the database in {where.local}.",
            hint=f"End that process (`kill {holder}`), then repeat the command.",
        )
    made = local_certificate(datetime.now(UTC))
    write_private(where.local_certificate, made.pair)
    secret = token_secret(secrets.token_urlsafe(RANDOM_BYTES))
    write_private(where.local_token, secret + "\n")
    port = _free_port()
    settings = {
        "CALVINVERSE_STATE": str(where.state),
        "CALVINVERSE_DATA": str(where.local),
        "CALVINVERSE_PORT": str(port),
        "CALVINVERSE_TLS_CERTIFICATE": str(where.local_certificate),
        "CALVINVERSE_TLS_KEY": str(where.local_certificate),
        "CALVINVERSE_DEPLOYER": person(),
        "CALVINVERSE_DEPLOYER_TOKEN": known_token(secret),
        "CALVINVERSE_LOG_FORMAT": "json",
    }
    # Variables for other services of this user don't apply here.
    others = {name: value for name, value in os.environ.items() if not name.startswith("CALVINVERSE_")}
    with os.fdopen(open_private(where.local_log, os.O_TRUNC), "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.local_server", str(where.local_process)],
            env=others | settings,
            stdin=subprocess.PIPE,  # it ends when this process does, which closes the other end
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is handled by this process, which stops the service in an orderly way
        )
    pinned = PinnedAuthority(made.certificate, "local")
    address = f"https://127.0.0.1:{port}"
    try:
        with connect(Context(address=address, token_file=where.local_token, name="local", pinned=pinned)) as client:
            _wait_until_up(client, process, where)
            yield client
    finally:
        _stop(process)
        discard(where.local_process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(client: Client, process: subprocess.Popen[bytes], where: Places) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None:
            said = where.local_log.read_text(errors="replace").strip().splitlines()[-3:]
            raise ServiceUnavailable(
                f"The local service ended at once: {' '.join(said) or 'it said nothing'}",
                hint=f"Its whole log is {where.local_log}.",
            )
        try:
            client.info()
            return
        except CalvinverseError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


def _holder_of_database(where: Places) -> str | None:
    """The id of the process that has the local service's database open; None if nobody has."""
    with suppress(FileNotFoundError), (where.local / "lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read(20).decode(errors="replace").strip() or "unknown"
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
    if process.stdin is not None:
        process.stdin.close()
