"""The health check of the example service, against the real server without a container."""

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.web.app import health
from images.web.app.certificates import CertificateFiles
from images.web.app.content import Content
from images.web.app.server import Server
from images.web.app.settings import Settings, read_settings
from tests.support.web_image import variables, write_certificate


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Settings]:
    """The settings of a service that listens, with its certificate and its message and without its secret."""
    write_certificate(tmp_path / "web.pem")
    (tmp_path / "message").write_text("hello")
    settings = read_settings([], variables(tmp_path, 0))
    certificates = CertificateFiles(settings.certificate_file, settings.key_file, lambda _: None)
    with Server(settings, Content(settings), certificates) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield dataclasses.replace(settings, port=server.server_address[1])
        server.shutdown()


def test_it_says_what_the_service_says(served: Settings) -> None:
    assert health.ask(served) == (503, "the secret is missing")
    served.secret_file.write_text("secret")
    assert health.ask(served) == (200, "ok")


def test_a_renewed_certificate_is_no_trouble(served: Settings) -> None:
    health.ask(served)
    write_certificate(served.certificate_file)
    assert health.ask(served)[0] == 503


def test_another_service_at_its_address_is_not_healthy(served: Settings, tmp_path: Path) -> None:
    write_certificate(tmp_path / "other.pem")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        health.ask(dataclasses.replace(served, certificate_file=tmp_path / "other.pem"))
