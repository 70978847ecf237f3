"""The example service, without a container."""

import contextlib
import hashlib
import hmac
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from images.places import CHECKOUT
from tests.support.web_image import variables, write_certificate

LIMIT = 60.0


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, ssl.SSLContext, subprocess.Popen[str]]]:
    """The service as a process: its address, a context that trusts it, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write_certificate(folder / "web.pem")
    (folder / "message").write_text("hello")
    (folder / "secret").write_text("s3cret")
    process = subprocess.Popen(
        [sys.executable, "-m", "app"],
        env=variables(folder, port) | {"PYTHONPATH": str(CHECKOUT / "images" / "web")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        while "listening" not in (line := process.stderr.readline()):
            assert line
        yield f"https://localhost:{port}", ssl.create_default_context(cafile=folder / "web.pem"), process
    finally:
        process.kill()
        process.wait(LIMIT)
        if process.stderr is not None:
            process.stderr.close()


def fetch(address: str, context: ssl.SSLContext) -> Any:
    """The open answer to a GET; the address is always https."""
    return urllib.request.urlopen(address, context=context, timeout=LIMIT)  # noqa: S310 - the scheme is ours


def test_it_serves_verified_https_and_follows_its_files(tmp_path: Path) -> None:
    with served(tmp_path) as (address, context, _):

        def get(path: str) -> tuple[int, str]:
            try:
                with fetch(f"{address}{path}", context) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        assert get("/health") == (200, "ok\n")
        assert "<h1>hello</h1>" in get("/")[1]
        (tmp_path / "message").write_text("changed")
        assert "<h1>changed</h1>" in get("/")[1]
        assert get("/proof?nonce=a%20b")[1].strip() == hmac.new(b"s3cret", b"a b", hashlib.sha256).hexdigest()
        assert get("/nothing")[0] == 404


def test_a_silent_client_holds_nobody_up_and_plain_http_is_a_line_in_the_log(tmp_path: Path) -> None:
    with served(tmp_path) as (address, context, process):
        port = int(address.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port), LIMIT),
            socket.create_connection(("127.0.0.1", port)) as plain,
        ):
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with fetch(f"{address}/health", context) as answer:
                assert answer.status == 200
        process.terminate()
        _, errors = process.communicate(timeout=LIMIT)
    assert "ended:" in errors
    assert "Traceback" not in errors
    assert "s3cret" not in errors


def test_it_stops_at_once_and_well(tmp_path: Path) -> None:
    with served(tmp_path) as (_, _, process):
        started = time.monotonic()
        process.terminate()
        assert process.wait(LIMIT) == 0
        assert time.monotonic() - started < 20
