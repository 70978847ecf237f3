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

from environments.client import HttpClient
from environments.context import Context, check_address, find_context, write_context
from environments.domain.errors import InvalidInput, ServiceUnavailable, Unauthenticated
from tests.support.service_process import free_port


@pytest.mark.parametrize(
    ("address", "said", "hint"),
    [
        ("foo", "it has no scheme", "such as http://foo:8400."),
        ("127.0.0.1:8400", "it has no scheme", "such as http://127.0.0.1:8400."),
        ("localhost:8400/", "it has no scheme", "such as http://localhost:8400/."),
        ("ftp://here:1", "its scheme is 'ftp'", "Give http:// or https://"),
        ("http://", "is not the address", "Give a host and a port"),
        ("http://:8400", "is not the address", "Give a host and a port"),
        ("http://here:port", "is not the address", "Give a host and a port"),
        ("http://here:99999", "is not the address", "Give a host and a port"),
        ("http://here:8400/?a=b", "is not the address", "Give a host and a port"),
        ("http://he re:8400", "is not the address", "Give a host and a port"),
        ("http://[::1:8400", "is not the address", "Give a host and a port"),
    ],
)
def test_what_is_no_address_is_told(address: str, said: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        find_context(address=address, environ={"CALVINVERSE_STATE": "/nonexistent"})
    assert said in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("address", ["http://127.0.0.1:8400", "https://here/", "http://[::1]:8400", "HTTP://here:1"])
def test_what_is_an_address_stays_as_it_is(address: str) -> None:
    assert check_address(address) == address


def test_a_stored_token_stays_with_its_address_and_that_is_told(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("cv_secret")
    write_context(tmp_path, Context(address="http://one:8400", token_file=token))
    assert "stored_for" not in (tmp_path / "context.json").read_text()
    with pytest.raises(Unauthenticated) as refused:
        find_context(address="http://two:8400", environ={"CALVINVERSE_STATE": str(tmp_path)}).read_token()
    assert refused.value.message == "There is no token for the service at http://two:8400."
    assert "The stored token is for http://one:8400 and is sent nowhere else." in refused.value.hint
    with pytest.raises(Unauthenticated) as refused:
        find_context(environ={"CALVINVERSE_STATE": str(tmp_path / "none")}).read_token()
    assert "calvinverse token create" in refused.value.hint


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
    with HttpClient(address, "cv_token", timeout=20) as client, pytest.raises(ServiceUnavailable) as refused:
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
            thread.join(20)
