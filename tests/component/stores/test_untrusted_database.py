"""A server that isn't PostgreSQL's own, or shows another certificate: it gets no login, and the fault is told."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.errors import DatabaseUnavailable, StorageError
from environments.stores.database import open_database
from tests.fakes.port_thief import TLS_WANTED
from tests.support.authorities import DAY, make_authority

OURS, FOREIGN = make_authority("of the parts"), make_authority("foreign")
NAME = "postgres.calvinverse.internal"


@contextlib.contextmanager
def answering(tls: Path | None) -> Iterator[tuple[int, list[bytes]]]:
    """A server that agrees to TLS if it has a certificate: its port, and what clients said after the handshake."""
    heard: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if tls is not None:
        context.load_cert_chain(tls)

    def hear(plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            assert plain.recv(len(TLS_WANTED)) == TLS_WANTED
            plain.sendall(b"N" if tls is None else b"S")
            with plain if tls is None else context.wrap_socket(plain, server_side=True) as channel:
                heard.append(channel.recv(65536))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                plain.settimeout(60)
                with plain:
                    hear(plain)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(120)


def certificate(kind: str, file: Path) -> Path | None:
    """What such a server shows."""
    if kind == "expired":
        return OURS.sign(file, NAME, "127.0.0.1", begins=-2 * DAY, ends=-timedelta(hours=1))
    if kind == "of another part":
        return OURS.sign(file, "worker.calvinverse.internal", "127.0.0.1")
    return FOREIGN.sign(file, NAME, "127.0.0.1") if kind == "of a foreign authority" else None


def open_at(folder: Path, port: int, authority: Path) -> None:
    """Opens the database as the service does that deploy starts."""
    (folder / "password").write_text("swordfish\n")
    verified = f"hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={authority}"
    open_database(folder, f"postgresql://me@{NAME}:{port}/some?{verified}", folder / "password").close()


@pytest.mark.parametrize("kind", ["expired", "of another part", "of a foreign authority", "none"])
def test_who_shows_another_certificate_gets_no_login(kind: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(OURS.pem)
    with (
        answering(certificate(kind, tmp_path / "tls.pem")) as (port, heard),
        pytest.raises(DatabaseUnavailable, match=f"some at {NAME}:{port} is not trusted: ") as refused,
    ):
        open_at(tmp_path, port, tmp_path / "ca.pem")
    assert not any(heard)
    assert refused.value.transient
    assert "must be valid, for the host in the address, and signed by the authority" in refused.value.hint
    assert "No password was sent." in refused.value.hint


@pytest.mark.parametrize("text", [None, "garbage"])
def test_an_authority_that_can_not_be_read_is_told(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    shown = certificate("of a foreign authority", tmp_path / "tls.pem")
    with answering(shown) as (port, heard), pytest.raises(StorageError, match="can't be verified: ") as refused:
        open_at(tmp_path, port, tmp_path / "ca.pem")
    assert not any(heard)
    assert "Correct `sslrootcert`" in refused.value.hint
