"""Two machines, of which one is a network namespace: a client on it, the service on the other one behind its edge.

Certificates that are no good are refused, each with its sentence, by the command line and by the terminal UI.
"""

import contextlib
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.authorities import DAY, make_authority
from tests.support.edge_harness import Edge, edge, until
from tests.support.second_machine import HOST, Link, Machine
from tests.support.service_process import ServiceProcess, free_port

CONTEXT = "work"


@dataclass(frozen=True)
class Two:
    """The second machine, which is a client, and the edge that it reaches at `address`."""

    there: Machine
    edge: Edge
    address: str
    token_file: Path

    def pin(self, folder: Path, *authorities: str, replace: bool = False) -> "tuple[int, str]":
        """Adds the context that pins authorities (PEM); exit status and what was said."""
        file = folder / "pinned.pem"
        file.write_text("".join(authorities))
        more = ["--replace"] if replace else []
        done = self.there(
            "context", "add", CONTEXT, "--address", self.address, "--ca", str(file), "--token-file",
            str(self.token_file), *more,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def refuses(self, *sentences: str) -> None:
        """Command line and terminal UI say these sentences, and show nothing of the service."""
        told = self.there("template", "list")
        assert (told.returncode, told.stdout) == (7, "")
        screen = self.there.run(sys.executable, "-m", "tests.support.refused_tui")
        assert screen.returncode == 0, screen.stderr
        for sentence in (*sentences, "The token was not sent."):
            assert sentence in told.stderr
            assert sentence in screen.stdout
        # The UI shows what it knows, if not on one line.
        shown = " ".join(screen.stdout.partition("The token was not sent.")[2].split())
        assert "certificate" in shown

    def shows(self, begins: timedelta = -DAY, ends: timedelta = DAY) -> None:
        """Gives the edge a certificate of its authority."""
        before = self._shown()
        self.edge.authority.sign(self.edge.certificate_file, HOST, begins=begins, ends=ends)
        self.edge.process.send_signal(signal.SIGHUP)
        until(lambda: self._shown() != before, "the edge shows it")

    def _shown(self) -> bytes | None:
        """The certificate (DER) of the edge, whether it is good or not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        place = (self.edge.settings.host, self.edge.settings.port)
        with (
            socket.create_connection(place, timeout=60) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as connection,
        ):
            return connection.getpeercert(binary_form=True)


@pytest.fixture
def two(link: Link, tmp_path: Path) -> Iterator[Two]:
    service = ServiceProcess(tmp_path / "here")
    service.start()
    try:
        with behind(link, tmp_path, service) as found:
            yield found
    finally:
        service.stop()


@contextlib.contextmanager
def behind(link: Link, folder: Path, service: ServiceProcess) -> Iterator[Two]:
    port = free_port()
    own = folder / "edge"
    own.mkdir()
    with edge(own, service.port, EDGE_LISTEN=f"{link.address}:{port}", EDGE_ADDRESS=HOST) as running:
        there = Machine(folder / "there", link.namespace)
        yield Two(there, running, f"https://{HOST}:{port}", service.state / "service" / "token")


def test_a_client_elsewhere_reaches_the_service_and_refuses_certificates_that_are_no_good(
    two: Two, link: Link, tmp_path: Path
) -> None:
    ours, foreign = two.edge.authority, make_authority("foreign")
    status, said = two.pin(tmp_path, ours.pem)
    assert status == 0, said
    assert any(line.startswith("web ") for line in two.there("template", "list").stdout.splitlines())

    two.shows(begins=-2 * DAY, ends=-DAY)
    two.refuses(f"The certificate of the service at {two.address} has expired.", "Its operator has to renew it.")
    two.shows(begins=DAY, ends=2 * DAY)
    two.refuses(f"The certificate of the service at {two.address} isn't valid yet.", "Check the clocks")
    two.shows()
    assert two.there("template", "list").returncode == 0

    two.edge.process.terminate()
    two.edge.process.wait(60)
    where = (link.address, two.edge.settings.port)
    # Of another part of the same cluster, for another name, and of somebody else.
    for certificate in (
        ours.sign(tmp_path / "swapped.pem", "meta--provisioning.service.consul", "localhost", "127.0.0.1"),
        ours.sign(tmp_path / "other.pem", "other.example.org", link.address),
    ):
        with somebody(certificate, where):
            two.refuses(f"isn't for {HOST}.", "something else answers there")
    with somebody(foreign.sign(tmp_path / "foreign.pem", HOST), where):
        two.refuses(f"isn't signed by the authority that the context '{CONTEXT}' pins.", ours.fingerprint)


def test_an_authority_that_is_replaced_is_a_matter_of_one_command(two: Two, link: Link, tmp_path: Path) -> None:
    old, new = two.edge.authority, make_authority("new")
    assert two.pin(tmp_path, old.pem)[0] == 0
    new.sign(tmp_path / "new.pem", HOST)
    # Who knows both is served throughout.
    both = Machine(tmp_path / "both", link.namespace)
    prepared = Two(both, two.edge, two.address, two.token_file)
    assert prepared.pin(tmp_path, old.pem, new.pem)[0] == 0
    assert both("template", "list").returncode == 0
    (tmp_path / "renewed").write_bytes((tmp_path / "new.pem").read_bytes())
    (tmp_path / "renewed").replace(two.edge.certificate_file)
    two.edge.process.send_signal(signal.SIGHUP)
    until(lambda: two.there("template", "list").returncode != 0, "the edge shows the new one")
    assert both("template", "list").returncode == 0
    two.refuses(
        "If the authority was replaced, get the new one from the operator of the service",
        f"`calvinverse context add {CONTEXT} --replace …`",
    )
    status, said = two.pin(tmp_path, new.pem, replace=True)
    assert status == 0, said
    assert new.fingerprint in said
    assert two.there("template", "list").returncode == 0


@contextlib.contextmanager
def somebody(certificate: Path, where: tuple[str, int]) -> Iterator[None]:
    """Shows a certificate to everybody, and says nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    ending = threading.Event()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(where)
        server.listen()
        server.settimeout(0.1)

        def serve() -> None:
            while not ending.is_set():
                with contextlib.suppress(OSError):
                    plain, _ = server.accept()
                    plain.settimeout(10)
                    with plain, context.wrap_socket(plain, server_side=True) as connection:
                        assert connection.recv(1) == b"", "something was sent"

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(60)
