"""Certificates of the edge that change: a real Caddy moves to the new one, and no connection is lost."""

import signal
import socket
import ssl
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from images.edge.app.admin import LoadFailed, accepts
from images.edge.app.caddy import Caddy
from images.edge.app.configuration import Limits, configuration, places
from images.edge.app.listeners import Listeners
from images.edge.app.settings import Settings, read_settings
from images.toolchain import require
from tests.support.authorities import make_authority
from tests.support.edge_harness import NAME, SECRET, Edge, Upstream, edge, read_all, receive, request, status, until
from tests.support.edge_traffic import Traffic
from tests.support.service_process import free_port


def test_a_renewed_certificate_is_shown_while_what_has_begun_goes_on(tmp_path: Path) -> None:
    with Upstream().running() as service, edge(tmp_path, service.port) as running:
        with running.connect() as stream, running.connect() as upload:
            stream.sendall(request("/events"))
            receive(stream, b"\r\n\r\n")
            upload.sendall(request("/slow", "Content-Length: 4", method="POST", body=b"12"))
            # The service reads the body's beginning: the request is on its way.
            until(lambda: "/slow" in service.begun, "the request has begun")
            for _ in range(3):
                before = running.shown()
                running.authority.sign(running.certificate_file, NAME)
                running.process.send_signal(signal.SIGHUP)
                until(partial(differs, running, before), "the new certificate is shown")
            service.events.append(b"data: after\n\n")
            receive(stream, b"data: after\n\n")
            upload.sendall(b"34")
            assert status(read_all(upload)) == 200
        assert [seen.body for seen in service.seen if seen.path == "/slow"] == [b"1234"]


def differs(running: Edge, before: bytes) -> bool:
    return running.shown() != before


def has_moved(running: Edge, times: int) -> bool:
    return running.log.count("The certificate is read again.") >= times


RENEWALS = 5


def test_no_new_connection_is_lost_while_certificates_change(tmp_path: Path) -> None:
    """Certificates of two minutes, renewed one after the other, and new connections all the time."""
    with Upstream().running() as service, edge(tmp_path, service.port) as running, Traffic(running) as traffic:
        for number in range(RENEWALS):
            before, answered = running.shown(), traffic.answered
            running.authority.sign(running.certificate_file, NAME, ends=timedelta(minutes=2))
            running.process.send_signal(signal.SIGHUP)
            until(partial(differs, running, before), "the new certificate is shown")
            until(partial(has_moved, running, number + 1), "it has left the one before")
            until(partial(traffic.answers, answered + 20), "new connections are answered")
    assert traffic.lost == []
    # The first one may have been gone before anybody connected.
    assert len(traffic.certificates) >= RENEWALS


def test_a_connection_that_has_said_nothing_yet_is_answered_after_a_change(tmp_path: Path) -> None:
    settings = files(tmp_path)
    limits = Limits(draining=20.0)
    with Upstream().running() as service:
        settings = replace(settings, upstream=f"127.0.0.1:{service.port}")
        listeners = Listeners(places(settings))
        program = str(require("caddy")["caddy"])
        caddy = Caddy(program, settings.folder, listeners, partial(configuration, settings, limits), limits.draining)
        with (tmp_path / "log").open("wb") as log:
            caddy.start(log)
        try:
            until(lambda: accepts(settings.folder / "up-0.sock"), "it runs")
            with connected(settings) as silent, connected(settings) as busy:
                assert status(ask(busy)) == 200
                caddy.switch()
                # What is kept alive is asked to come again, and what was silent until now is answered.
                assert b"connection: close" in ask(busy).lower()
                assert status(ask(silent)) == 200
                with connected(settings) as new:
                    assert b"connection: close" not in ask(new).lower()
                caddy.settle()
        finally:
            caddy.stop()
            listeners.close()


def unreadable(*_given: object) -> dict[str, object]:
    """Fails as a configuration does of which a file is gone."""
    return {"file": Path("/nonexistent/file").read_text()}


def test_a_configuration_that_can_not_be_made_or_that_caddy_refuses_changes_nothing(tmp_path: Path) -> None:
    settings = files(tmp_path)
    listeners = Listeners(places(settings))
    refused = [unreadable, lambda *given: configuration(*given) | {"apps": {"http": "none"}}]
    made = iter([configuration, *refused, configuration])
    program = str(require("caddy")["caddy"])
    with Upstream().running() as service:
        settings = replace(settings, upstream=f"127.0.0.1:{service.port}")
        limits = Limits(draining=0.1)
        caddy = Caddy(program, settings.folder, listeners, lambda where: next(made)(settings, limits, where), 0.1)
        with (tmp_path / "log").open("wb") as log:
            caddy.start(log)
        try:
            until(lambda: accepts(settings.folder / "up-0.sock"), "it runs")
            for why in ("No such file or directory", "refuses the configuration"):
                with pytest.raises(LoadFailed, match=why):
                    caddy.switch()
                with connected(settings) as connection:
                    assert status(ask(connection)) == 200
            caddy.switch()
            with connected(settings) as connection:
                assert status(ask(connection)) == 200
        finally:
            caddy.stop()
            listeners.close()


def test_a_port_that_is_taken_is_not_shared(tmp_path: Path) -> None:
    settings = files(tmp_path)
    with socket.socket() as taken:
        # With the same right to share it: a job with the edge's user has that as well.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", settings.port))
        taken.listen()
        with pytest.raises(OSError, match=r"(?i)in use"):
            Listeners(places(settings))
    Listeners(places(settings)).close()


def files(folder: Path) -> Settings:
    """Settings with a certificate and a secret, and nothing behind them."""
    make_authority().sign(folder / "edge.pem", NAME)
    (folder / "secret").write_text(SECRET)
    return read_settings(
        {
            "EDGE_LISTEN": f"127.0.0.1:{free_port()}",
            "EDGE_ADDRESS": NAME,
            "EDGE_CERTIFICATE_FILE": str(folder / "edge.pem"),
            "EDGE_SECRET_FILE": str(folder / "secret"),
            "EDGE_FOLDER": str(folder / "own"),
        }
    )


def connected(settings: Settings) -> ssl.SSLSocket:
    """A connection that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", settings.port), timeout=60)
    return context.wrap_socket(plain, server_hostname=NAME)


def ask(connection: ssl.SSLSocket) -> bytes:
    """One answer on a connection that stays open."""
    connection.sendall(f"GET /one HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    return receive(connection, b'"length": 0}')


def test_a_certificate_that_can_not_be_read_changes_nothing(tmp_path: Path) -> None:
    with Upstream().running() as service, edge(tmp_path, service.port) as running:
        before = running.shown()
        running.certificate_file.write_text("no certificate")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "The certificate isn't read again" in running.log, "the fault is said")
        assert running.shown() == before
        assert status(running.send(request("/"))) == 200
