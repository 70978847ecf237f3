"""A server with TLS takes a renewed certificate without a restart, and loses neither a request nor a stream."""

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from environments.api.app import create_app
from environments.authorities import PinnedAuthority
from environments.client import Client, Connected
from environments.domain.environment import Event
from environments.serving.certificate import ServedCertificate
from environments.serving.handshakes import Handshakes
from environments.serving.server import make_server
from environments.wire.environments import CreateRequest
from tests.fakes.listener import Listener, connected
from tests.fakes.service import FakeService, listening, make_service
from tests.support.authorities import MadeAuthority, make_authority

AUTHORITY = make_authority("ours")
SECONDS = 120.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    made = make_service(tmp_path / "service")
    yield made
    made.database.close()


def shown(address: str) -> bytes:
    """The certificate that a new connection gets, DER. Any is accepted."""
    host, _, port = address.rpartition("/")[2].partition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=SECONDS) as link, context.wrap_socket(link) as secured:
        found = secured.getpeercert(binary_form=True)
    assert found is not None
    return found


def in_file(path: Path) -> bytes:
    """The first certificate of a PEM file, DER."""
    text = path.read_text()
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") :])


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it didn't come to that"
        time.sleep(0.02)


def client_of(address: str, token: str, authority: MadeAuthority = AUTHORITY) -> Client:
    return Client(address, token, pinned=PinnedAuthority(authority.pem, "prod"), timeout=60)


def test_certificates_are_renewed_while_requests_and_a_stream_go_on(service: FakeService, tmp_path: Path) -> None:
    """Certificates for two minutes, five times over; requests come on new connections and on one that is kept."""
    file, short = tmp_path / "tls.pem", timedelta(minutes=2)
    AUTHORITY.sign(file, "127.0.0.1", ends=short)
    token = service.tokens.first_token("ada", "test")
    stop, failures, answers = threading.Event(), list[Exception](), {"new": 0, "kept": 0}

    def ask(connection: str, address: str) -> None:
        try:
            with client_of(address, token) as kept:
                while not stop.is_set():
                    if connection == "kept":
                        kept.info()
                    else:
                        with client_of(address, token) as client:
                            client.info()
                    answers[connection] += 1
        except Exception as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    def more_answers(before: dict[str, int]) -> bool:
        return bool(failures) or all(answers[one] > before[one] for one in before)

    with listening(service, tls=file) as address, client_of(address, token) as reader:
        reader.create(CreateRequest(name="demo", template="web"))
        listener = Listener(reader.events())
        listener.until(connected)
        threads = [threading.Thread(target=ask, args=(connection, address)) for connection in answers]
        for thread in threads:
            thread.start()
        try:
            for number in range(5):
                AUTHORITY.sign(file, "127.0.0.1", ends=short)
                wait_until(lambda: shown(address) == in_file(file))
                before = dict(answers)
                wait_until(partial(more_answers, before))
                service.log("demo", str(number))
        finally:
            stop.set()
            for thread in threads:
                thread.join(SECONDS)
        listener.until(lambda seen: len(seen.messages) == 5)
        assert [type(item) for item in listener.items if not isinstance(item, Event)] == [Connected]
        listener.close()
    assert failures == []


def test_a_new_certificate_that_cannot_be_used_is_told_and_the_one_before_stays(
    service: FakeService, tmp_path: Path
) -> None:
    file, other = tmp_path / "tls.pem", make_authority("foreign")
    AUTHORITY.sign(file, "127.0.0.1")
    good, token = file.read_text(), service.tokens.first_token("ada", "test")
    key, certificate = good[: good.index("-----BEGIN CERT")], good[good.index("-----BEGIN CERT") :]
    foreign = other.sign(tmp_path / "foreign.pem", "127.0.0.1").read_text()
    bad = {
        "garbage": "they hold no certificate with a key that has no password",
        "": "they hold no certificate with a key that has no password",
        certificate: "they hold no certificate with a key that has no password",
        key + foreign[foreign.index("-----BEGIN CERT") :]: "the key isn't that of the certificate",
        None: "No such file or directory",
    }
    with capture_logs() as lines, listening(service, tls=file) as address:
        for content, reason in bad.items():
            lines.clear()
            if content is None:
                file.unlink()
            else:
                file.write_text(content)
            wait_until(lambda: any(line["event"] == "certificate.kept" for line in lines))
            with client_of(address, token) as client:
                assert client.info().owner == "ada"
            assert shown(address) == ssl.PEM_cert_to_DER_cert(certificate)
            told = [line for line in lines if line["event"] == "certificate.kept"]
            assert [(line["file"], line["reason"]) for line in told] == [(str(file), reason)]
        AUTHORITY.sign(file, "127.0.0.1")
        wait_until(lambda: shown(address) == in_file(file))


def test_a_pair_of_files_counts_once_both_have_changed(tmp_path: Path) -> None:
    whole = [AUTHORITY.sign(tmp_path / f"{number}.pem", "127.0.0.1").read_text() for number in (0, 1)]
    pairs = [(text[text.index("-----BEGIN CERT") :], text[: text.index("-----BEGIN CERT")]) for text in whole]
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    for file, text in zip(files, pairs[0], strict=True):
        file.write_text(text)
    served = ServedCertificate(*files)
    with capture_logs() as lines:
        files[0].write_text(pairs[1][0])
        for _ in range(3):
            served.read_again()
        files[1].write_text(pairs[1][1])
        served.read_again()
        served.read_again()
    assert [line["event"] for line in lines] == ["certificate.kept", "certificate.read"]


@pytest.mark.parametrize("content", [None, "garbage", "encrypted"])
def test_a_service_does_not_start_without_a_certificate_that_can_be_used(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "tls.pem"
    if content == "encrypted":
        secret = serialization.BestAvailableEncryption(b"a password")
        key = ec.generate_private_key(ec.SECP256R1())
        whole = AUTHORITY.sign(file, "127.0.0.1").read_text()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret).decode()
        file.write_text(pem + whole[whole.index("-----BEGIN CERT") :])
    elif content is not None:
        file.write_text(content)
    ended = subprocess.run(
        [sys.executable, "-m", "environments", "serve", "--port=0", f"--tls-certificate={file}", f"--tls-key={file}"],
        env={"CALVINVERSE_STATE": str(tmp_path / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"can't use the certificate {file}" in ended.stderr
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_connections_without_a_handshake_make_room_for_others(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handshakes, "most", 5)
    token = service.tokens.first_token("ada", "test")
    file = AUTHORITY.sign(tmp_path / "tls.pem", "127.0.0.1")
    server = make_server(create_app(service), certificate=ServedCertificate(file, file))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port), SECONDS)) for _ in range(8)]
            kept = stack.enter_context(client_of(f"https://127.0.0.1:{port}", token))
            for _ in range(8):
                assert kept.info().owner == "ada"
                with client_of(f"https://127.0.0.1:{port}", token) as client:
                    assert client.info().owner == "ada"
            assert [connection.recv(1) for connection in idle[:3]] == [b"", b"", b""]
            idle[7].setblocking(False)
            with pytest.raises(BlockingIOError):
                idle[7].recv(1)
    finally:
        server.should_exit = True
        thread.join(SECONDS)
