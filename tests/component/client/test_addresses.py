"""Addresses that lead nowhere: each says what is wrong with it, and which one is meant."""

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from environments.client import Client
from environments.domain.errors import ServiceUnavailable
from tests.support.service_process import free_port


def test_tls_where_there_is_none(plain: int) -> None:
    error = unavailable(f"https://127.0.0.1:{plain}")
    assert error.message == f"What answers at https://127.0.0.1:{plain} doesn't speak TLS."
    assert f"give http://127.0.0.1:{plain}." in error.hint


def test_no_tls_where_it_is_wanted(secured: int) -> None:
    error = unavailable(f"http://127.0.0.1:{secured}")
    assert "dropped the connection" in error.message
    assert f"If the service speaks TLS there, give https://127.0.0.1:{secured};" in error.hint


def test_a_certificate_that_nobody_trusts(secured: int) -> None:
    error = unavailable(f"https://127.0.0.1:{secured}")
    assert "The certificate of the service at" in error.message
    assert "self-signed certificate" in error.message
    assert "CALVINVERSE_CA_FILE" in error.hint


def test_nobody_listens() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    error = unavailable(address)
    assert error.message == f"The service at {address} can't be reached."
    assert "calvinverse serve" in error.hint


def test_a_port_that_was_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    error = unavailable("http://127.255.255.254")
    assert error.message == "Nothing answers at http://127.255.255.254, port 80."
    assert "8400" in error.hint


def test_a_server_of_others_that_wants_tls(plain: int) -> None:
    error = unavailable(f"http://127.0.0.1:{plain}")
    assert f"give https://127.0.0.1:{plain}." in error.hint


def unavailable(address: str) -> ServiceUnavailable:
    """What an address is told as."""
    with Client(address, "cv_token", timeout=20) as client, pytest.raises(ServiceUnavailable) as refused:
        client.environments()
    return refused.value


@pytest.fixture
def plain() -> Iterator[int]:
    """The port of a server that says to whatever it is asked that it wants TLS, as those written in Go do."""
    body = b"Client sent an HTTP request to an HTTPS server.\n"
    with serving(lambda link: link.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" + body)) as port:
        yield port


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[int]:
    """The port of a server that speaks TLS, with a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def shake(link: socket.socket) -> None:
        context.wrap_socket(link, server_side=True).close()

    with serving(shake) as port:
        yield port


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """The port of a server that reads a little of each connection, answers and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    link, _ = listener.accept()
                    with link, contextlib.suppress(OSError):
                        link.settimeout(20)
                        answer(link)
                        link.shutdown(socket.SHUT_WR)
                        link.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(120)
