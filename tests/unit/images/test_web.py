"""The example service, without a container."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from images.web.app.certificates import CertificateFiles
from images.web.app.content import Content
from images.web.app.settings import Settings, read_settings
from tests.support.web_image import variables, write_certificate


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings([], variables(tmp_path, 8443))


class TestSettings:
    def test_a_flag_wins_over_its_variable(self, tmp_path: Path) -> None:
        assert read_settings(["--port", "1"], variables(tmp_path, 2)).port == 1

    @pytest.mark.parametrize("changes", [{"WEB_PORT": "many"}, {"WEB_PORT": "70000"}, {"WEB_SECRET_FILE": ""}])
    def test_a_wrong_or_missing_one_ends_with_status_2(self, tmp_path: Path, changes: dict[str, str]) -> None:
        with pytest.raises(SystemExit) as caught:
            read_settings([], variables(tmp_path, 1) | changes)
        assert caught.value.code == 2

    def test_the_instance_is_the_allocation(self, tmp_path: Path) -> None:
        given = variables(tmp_path, 1) | {"WEB_INSTANCE": "", "NOMAD_ALLOC_ID": "an-allocation"}
        assert read_settings([], given).instance == "an-allocation"


class TestContent:
    def test_everything_on_the_page_is_escaped(self, settings: Settings) -> None:
        settings.message_file.write_text("<script>alert(1)</script>{message}")
        page = Content(settings).page().body.decode()
        assert "<script>" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{message}" in page
        assert "feature/&lt;x&gt;" in page

    def test_health_names_what_is_missing(self, settings: Settings) -> None:
        content = Content(settings)
        assert (content.health().status, content.health().body) == (503, b"the message is missing\n")
        settings.message_file.write_text("hello")
        assert (content.health().status, content.health().body) == (503, b"the secret is missing\n")
        settings.secret_file.write_text("\n")
        assert content.health().status == 503
        settings.secret_file.write_text("s3cret\n")
        assert (content.health().status, content.health().body) == (200, b"ok\n")

    def test_the_proof_is_an_hmac_of_the_nonce(self, settings: Settings) -> None:
        content = Content(settings)
        assert content.proof("n").status == 503
        settings.secret_file.write_text("s3cret\n")
        assert content.proof("n").body.decode().strip() == hmac.new(b"s3cret", b"n", hashlib.sha256).hexdigest()
        assert content.proof("").status == 400
        assert content.proof("n" * 257).status == 400

    def test_the_state_is_json(self, settings: Settings) -> None:
        assert json.loads(Content(settings).state().body)["message"] is None
        settings.message_file.write_text("hello\n")
        assert json.loads(Content(settings).state().body) == {
            "message": "hello",
            "environment": "blue",
            "branch": "feature/<x>",
            "instance": "one",
        }


class TestCertificate:
    def test_it_is_loaded_again_only_when_the_files_changed(self, settings: Settings) -> None:
        said: list[str] = []
        files = CertificateFiles(settings.certificate_file, settings.key_file, said.append)
        assert files.context() is None
        write_certificate(settings.certificate_file)
        first = files.context()
        assert first is not None
        assert files.context() is first
        write_certificate(settings.certificate_file)
        assert files.context() not in (None, first)

    def test_a_half_written_one_leaves_the_last_in_use(self, settings: Settings) -> None:
        said: list[str] = []
        files = CertificateFiles(settings.certificate_file, settings.key_file, said.append)
        write_certificate(settings.certificate_file)
        first = files.context()
        settings.certificate_file.write_text("-----BEGIN CERTIFICATE-----\nhalf")
        assert files.context() is first
        assert files.context() is first
        assert len([line for line in said if "not usable" in line]) == 1
        write_certificate(settings.certificate_file)
        assert files.context() not in (None, first)
