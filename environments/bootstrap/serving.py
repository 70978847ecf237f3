"""Runs a service: where it listens, what it says when it starts, and how it ends."""

import contextlib
import gc
import getpass
import resource
import signal
from collections.abc import Callable
from types import FrameType

import structlog
from fastapi import FastAPI

from environments.api.app import create_app
from environments.api.worker import create_worker_app
from environments.bootstrap.parts import connections_of, now
from environments.bootstrap.service import SHIPPER, Service, build
from environments.bootstrap.sign_in import pages
from environments.context import Context, stored_context, write_context
from environments.logging import configure_logging
from environments.private_files import write_private
from environments.serving.listening import certificate_of, listen
from environments.serving.server import make_server
from environments.settings import Settings

log = structlog.get_logger()

_TOKEN_FILE = "token"
_MOST_FILES = 8192


def run(settings: Settings, announce: Callable[[str], None] = lambda line: None) -> None:
    """Serves until SIGTERM or SIGINT. `announce` gets lines for people: the address, and what to do next.

    Raises `UnsafeAddress`, `InvalidInput` for a certificate and `MachineError` for a file of connections that can't be
    used, `PortTaken`, `StorageError`.
    """
    configure_logging(settings.log_format)
    _allow_files()
    certificate = certificate_of(
        settings.host,
        settings.tls_certificate,
        settings.tls_key,
        who="the service",
        risk="tokens could be read on the way",
    )
    if settings.connections is not None:
        connections_of(settings)()  # the file that was named; that of the state folder comes with a cluster
    listener = listen(
        settings.host,
        settings.port,
        who="The service",
        hint="Another service may run there; stop it, or give another --port.",
    )
    try:
        service = build(settings)
    except BaseException:
        listener.close()
        raise
    host, port = listener.getsockname()[:2]
    scheme = "https" if certificate else "http"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    app = create_worker_app(service) if settings.role == "worker" else _app(service)
    server = make_server(app, host, port, certificate)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    service.start()
    try:
        for line in _welcome(service, address):
            announce(line)
        log.info(
            "service.started",
            address=address,
            version=service.version,
            role=settings.role,
            database=service.database.where,
        )
        signal.signal(signal.SIGTERM, stop)
        gc.freeze()  # what was loaded until here stays, so the collector need not examine it during requests
        server.run(sockets=[listener])
    finally:
        service.stop()
        log.info("service.stopped")


def _app(service: Service) -> FastAPI:
    """The API, with the pages before it."""
    settings = service.settings
    return create_app(service, settings.edge_secret, pages(service, service.derive, now, settings.external_address))


def _allow_files() -> None:
    """Raises the limit of open files as far as this user may, so that connections can't exhaust it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _welcome(service: Service, address: str) -> list[str]:
    """Makes a token and a context on a machine that has none; deploy makes those itself."""
    settings = service.settings
    lines = [f"Calvinverse {service.version} listens on {address}; its database is {service.database.where}."]
    if settings.role == "worker":
        return [f"A worker of Calvinverse {service.version} on {service.database.where}; ask {address} how it is."]
    if settings.deployer_token:
        return lines
    token_file = settings.data_folder / _TOKEN_FILE
    if not token_file.exists():
        if service.database.shared and service.tokens.list(SHIPPER):
            return [*lines, "Others use this database already: an admin makes tokens with `calvinverse token create`."]
        owner = getpass.getuser()
        write_private(token_file, service.tokens.first_token(owner, "made by the first start") + "\n")
        lines.append(f"A token for {owner} is in {token_file}.")
    known = stored_context(settings.state)
    if known is None or known.token_file == token_file:
        write_context(settings.state, Context(address=address, token_file=token_file, name="local"))
        lines.append("Try `calvinverse template list` in another terminal.")
    return lines
