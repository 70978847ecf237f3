"""A deployment whose certificates live for two minutes: all of them are renewed, and nothing is lost meanwhile."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from environments.client import Connected
from environments.domain.environment import Event
from environments.domain.template import Bundle, make_bundle
from environments.providers.local_cluster.trust.names import PART_NAMES
from jobs import deploy as deploying
from jobs.meta_template import meta_bundle
from tests.fakes.listener import Listener, connected
from tests.support.deployment import Deployment, containers

LIFE = "2m"
LIMIT = 400.0
"""Seconds in which each certificate is renewed, on a busy machine too."""


def short_lived(**chosen: Any) -> Bundle:
    """The template `meta`, of what deploy chooses, with certificates of our parts that live for two minutes."""
    files = dict(meta_bundle(**chosen).files)
    for name in ("provisioning.nomad.hcl", "postgres.nomad.hcl"):
        before = files[name]
        files[name] = before.replace(b'default = "720h"', f'default = "{LIFE}"'.encode())
        assert files[name] != before
    return make_bundle(files)


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setattr(deploying, "meta_bundle", short_lived)
    deployment = Deployment(tmp_path / "state")
    try:
        deployment.deploy("postgresql", workers=1)
        yield deployment
    finally:
        deployment.remove()


def shown(port: int, name: str, authority: Path) -> str:
    """The serial number of what is shown there; it must be of the authority, valid and for that name."""
    context = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        found = secured.getpeercert()
    assert found is not None
    return str(found["serialNumber"])


def test_requests_streams_and_the_database_outlive_their_certificates(deployment: Deployment) -> None:
    state, context = deployment.where.state, deployment.context
    vault = deployment.connections.caller("vault")
    password = vault.call("GET", "/v1/secret/data/environments/meta/database-password")["data"]["data"]["password"]
    (postgres,) = [item for name, item in containers(state).items() if name.startswith("postgres-")]
    database: dict[str, Any] = {
        "host": PART_NAMES["postgres"],
        "hostaddr": "127.0.0.1",
        "port": int(next(line for line in postgres["Config"]["Env"] if line.startswith("NOMAD_PORT_db="))[14:]),
        "user": "calvinverse",
        "dbname": "calvinverse",
        "password": password,
        "sslmode": "verify-full",
        "sslrootcert": str(context.ca_file),
        "connect_timeout": 30,
    }
    running = {name: item["State"]["StartedAt"] for name, item in containers(state).items()}
    stop, failures = threading.Event(), list[Exception]()

    def forever(ask: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                ask()
        except Exception as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
            stop.set()

    def new_connection() -> None:
        with deployment.client() as client:
            client.info()

    def new_session() -> None:
        with psycopg.connect(**database) as session:
            session.execute("SELECT 1")

    authority = context.ca_file
    assert authority is not None
    (worker,) = deployment.connections.caller("consul").get("/v1/health/service/meta--worker")
    with deployment.client() as kept, psycopg.connect(**database) as session:
        listener = Listener(kept.events())
        listener.until(connected)
        serials: dict[str, Callable[[], str]] = {
            "service": lambda: shown(int(context.address.rpartition(":")[2]), "127.0.0.1", authority),
            "worker": lambda: shown(worker["Service"]["Port"], PART_NAMES["worker"], authority),
            "database": lambda: _database_serial(database),
        }
        before = {part: serial() for part, serial in serials.items()}
        asks = new_connection, kept.info, new_session, lambda: session.execute("SELECT 1")
        threads = [threading.Thread(target=forever, args=(ask,)) for ask in asks]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + LIMIT
            while not stop.is_set() and any(serial() == before[part] for part, serial in serials.items()):
                assert time.monotonic() < end, "a certificate was not renewed"
                time.sleep(0.5)
        finally:
            stop.set()
            for thread in threads:
                thread.join(120)
        assert failures == []
        assert [type(item) for item in listener.items if not isinstance(item, Event)] == [Connected]
        listener.close()
    assert {name: item["State"]["StartedAt"] for name, item in containers(state).items()} == running
    assert deployment.line("workers").health == "✓ 2 of 2 alive"


def _database_serial(database: dict[str, object]) -> str:
    """Asks PostgreSQL for TLS as libpq does (SSLRequest), and reads the serial number of its certificate."""
    context = ssl.create_default_context(cafile=str(database["sslrootcert"]))
    with socket.create_connection(("127.0.0.1", int(str(database["port"]))), timeout=60) as plain:
        plain.sendall((8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=str(database["host"])) as secured:
            found = secured.getpeercert()
    assert found is not None
    return str(found["serialNumber"])
