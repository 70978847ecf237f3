"""The client against servers with TLS: it goes on only when names, dates and authority are right."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.authorities import PinnedAuthority
from environments.client import Client, connect
from environments.context import find_context
from environments.domain.errors import CertificateRefused, ServiceUnavailable
from environments.named_contexts import NamedContext, store
from environments.wire.system import Info
from tests.fakes.service import FakeService, listening, make_service
from tests.support.authorities import DAY, MadeAuthority, make_authority
from tests.support.service_process import free_port

OURS = make_authority("ours")
FOREIGN = make_authority("foreign")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeService]:
    made = make_service(tmp_path_factory.mktemp("service"))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def token(service: FakeService) -> str:
    return service.tokens.first_token("ada", "test")


def client_of(address: str, token: str, authority: MadeAuthority | str = OURS) -> Client:
    """A client that pins an authority."""
    pem = authority if isinstance(authority, str) else authority.pem
    return Client(address, token, pinned=PinnedAuthority(pem, "prod"), timeout=60)


def refusal(address: str, token: str, authority: MadeAuthority | str = OURS) -> CertificateRefused:
    """Why the client doesn't go on; a stream of events ends too, and doesn't connect again and again."""
    with client_of(address, token, authority) as client:
        with pytest.raises(CertificateRefused) as refused:
            client.info()
        with contextlib.closing(client.events()) as stream, pytest.raises(CertificateRefused):
            next(iter(stream))
    return refused.value


def test_a_service_whose_certificate_is_of_the_pinned_authority(
    service: FakeService, token: str, tmp_path: Path
) -> None:
    with listening(service, tls=OURS.sign(tmp_path / "tls.pem", "127.0.0.1")) as address:
        with client_of(address, token) as client:
            assert client.info().owner == "ada"
        with client_of(address, token, FOREIGN.pem + OURS.pem) as client:  # while one is replaced by the other
            assert client.info().owner == "ada"


def test_an_authority_below_another_one_can_be_pinned(service: FakeService, token: str, tmp_path: Path) -> None:
    below = make_authority("below", signed_by=OURS)
    with listening(service, tls=below.sign(tmp_path / "tls.pem", "127.0.0.1")) as address:
        with client_of(address, token, below) as client:
            assert client.info().owner == "ada"
        assert "isn't signed by the authority" in refusal(address, token).message


def test_a_foreign_authority_is_refused(service: FakeService, token: str, tmp_path: Path) -> None:
    with listening(service, tls=FOREIGN.sign(tmp_path / "tls.pem", "127.0.0.1")) as address:
        error = refusal(address, token)
    assert error.message == (
        f"The certificate of the service at {address} isn't signed by the authority that the context 'prod' pins."
    )
    assert OURS.fingerprint in error.hint
    assert "calvinverse context add prod --replace" in error.hint


def test_without_a_pinned_authority_those_of_the_machine_count(
    service: FakeService, token: str, tmp_path: Path
) -> None:
    with (
        listening(service, tls=OURS.sign(tmp_path / "tls.pem", "127.0.0.1")) as address,
        Client(address, token, timeout=60) as client,
        pytest.raises(CertificateRefused, match="isn't trusted") as refused,
    ):
        client.info()
    assert "--ca of `calvinverse context add`" in refused.value.hint


def test_the_file_of_an_authority_is_named_when_another_one_signed(
    service: FakeService, token: str, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(OURS.pem)
    with (
        listening(service, tls=FOREIGN.sign(tmp_path / "tls.pem", "127.0.0.1")) as address,
        Client(address, token, ca_file=tmp_path / "ca.pem", timeout=60) as client,
        pytest.raises(CertificateRefused, match=f"isn't signed by the authority in {tmp_path}/ca.pem") as refused,
    ):
        client.info()
    assert "something else answers there. The token was not sent." in refused.value.hint


def test_a_certificate_for_other_names_is_refused(service: FakeService, token: str, tmp_path: Path) -> None:
    with listening(service, tls=OURS.sign(tmp_path / "tls.pem", "example.org", "127.0.0.2")) as address:
        assert refusal(address, token).message == f"The certificate of the service at {address} isn't for 127.0.0.1."
        named = address.replace("127.0.0.1", "calvinverse.localhost")
        assert refusal(named, token).message.endswith("isn't for calvinverse.localhost.")


@pytest.mark.parametrize(
    ("begins", "ends", "said"), [(-2 * DAY, -DAY, "has expired."), (DAY, 2 * DAY, "isn't valid yet.")]
)
def test_a_certificate_that_is_not_valid_now_is_refused(
    service: FakeService, token: str, tmp_path: Path, begins: object, ends: object, said: str
) -> None:
    file = OURS.sign(tmp_path / "tls.pem", "127.0.0.1", begins=begins, ends=ends)  # type: ignore[arg-type]
    with listening(service, tls=file) as address:
        error = refusal(address, token)
    assert error.message == f"The certificate of the service at {address} {said}"


def test_a_pinned_authority_that_expired_is_named(service: FakeService, token: str, tmp_path: Path) -> None:
    old = make_authority("old", begins=-3 * DAY, ends=-DAY)
    with listening(service, tls=old.sign(tmp_path / "tls.pem", "127.0.0.1")) as address:
        error = refusal(address, token, old)
    assert error.message.startswith(f"The authority that the context 'prod' pins for {address} expired on ")


def test_a_file_of_an_authority_that_expired_is_named(service: FakeService, token: str, tmp_path: Path) -> None:
    old = make_authority("old", begins=-3 * DAY, ends=-DAY)
    (tmp_path / "ca.pem").write_text(old.pem)
    with (
        listening(service, tls=old.sign(tmp_path / "tls.pem", "127.0.0.1")) as address,
        Client(address, token, ca_file=tmp_path / "ca.pem", timeout=60) as client,
        pytest.raises(CertificateRefused, match=f"The authority in {tmp_path}/ca.pem, .* expired on "),
    ):
        client.info()


def test_a_certificate_that_is_swapped_while_a_client_runs_is_refused(tmp_path: Path) -> None:
    port = free_port()
    first, foreign, third = (
        authority.sign(tmp_path / f"{number}.pem", "127.0.0.1")
        for number, authority in enumerate((OURS, FOREIGN, OURS))
    )
    with client_of(f"https://127.0.0.1:{port}", "cv_secret") as client:
        with answering(first, port):
            assert client.info().owner == "ada"
        with (
            answering(foreign, port) as (_, heard),
            pytest.raises(CertificateRefused, match="isn't signed by the authority"),
        ):
            client.info()
        assert heard == [b""]  # and so no token
        with answering(third, port) as (_, heard):
            assert client.info().owner == "ada"  # renewed by the pinned authority
        assert b"cv_secret" in heard[0]


def test_an_authority_that_cannot_be_read_is_told() -> None:
    with pytest.raises(ServiceUnavailable, match="'prod' pins can't be used") as refused:
        client_of("https://127.0.0.1:1", "cv_token", "nothing")
    assert "context add prod --replace" in refused.value.hint


def test_a_name_below_localhost_is_reached_and_must_be_in_the_certificate(
    service: FakeService, token: str, tmp_path: Path
) -> None:
    """The system need not resolve it, and a proxy is not asked."""
    tls = OURS.sign(tmp_path / "tls.pem", "calvinverse.localhost")
    with listening(service, tls=tls) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        named = address.replace("127.0.0.1", "calvinverse.localhost")
        store(tmp_path, "here", NamedContext(address=named, authority=OURS.pem), token)
        with connect(find_context(name="here", environ={"CALVINVERSE_STATE": str(tmp_path)})) as client:
            assert client.info().owner == "ada"
            with contextlib.closing(client.events()) as stream:
                assert next(iter(stream)) is not None
        assert "isn't signed by" in refusal(named, token, FOREIGN).message


def test_the_service_hears_the_name_that_was_asked_for() -> None:
    with (
        plain() as (port, heard),
        Client(f"http://a.localhost:{port}", "cv_token") as client,
        pytest.raises(ServiceUnavailable),
    ):
        client.info()
    assert f"host: a.localhost:{port}" in heard[0].decode().lower()


def test_a_name_below_localhost_is_tried_on_both_protocols() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        server = plain("::1")
        with server as (port, heard), Client(f"http://a.localhost:{port}", "cv_token") as client:
            with pytest.raises(ServiceUnavailable):
                client.info()
            assert heard[0].startswith(b"GET /self/info ")
    except OSError:
        pytest.skip("no IPv6 on loopback")


def test_nobody_listens_at_a_name_below_localhost() -> None:
    address = f"http://a.localhost:{free_port()}"
    with Client(address, "cv_token") as client, pytest.raises(ServiceUnavailable) as refused:
        client.info()
    assert refused.value.message == f"The service at {address} can't be reached."


@contextlib.contextmanager
def answering(file: Path, port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A server with TLS that says to one client who it is: its port, and what came behind the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    now = datetime.now(UTC)
    info = Info(version="1", started_at=now, now=now, owner="ada", role="admin", step_kinds=(), parts={})
    body = info.model_dump_json().encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()

    def hear(link: socket.socket) -> bytes:
        heard = b""
        # A client that refuses the certificate ends the handshake.
        with contextlib.suppress(OSError), context.wrap_socket(link, server_side=True) as secured:
            heard = secured.recv(65536)
            secured.sendall(head + body)
        return heard

    with _listener("127.0.0.1", hear, port) as found:
        yield found


@contextlib.contextmanager
def plain(host: str = "127.0.0.1") -> Iterator[tuple[int, list[bytes]]]:
    """A server that is no service: its port, and what the first client sent."""

    def hear(link: socket.socket) -> bytes:
        heard = link.recv(65536)
        link.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return heard

    with _listener(host, hear) as found:
        yield found


@contextlib.contextmanager
def _listener(host: str, hear: Callable[[socket.socket], bytes], port: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    heard: list[bytes] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        listener.settimeout(120)

        def serve() -> None:
            with contextlib.suppress(OSError):
                link, _ = listener.accept()
                with link:
                    link.settimeout(120)
                    heard.append(hear(link))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(120)
