"""The health check of the example service, without a server."""

import http.client
from pathlib import Path

import pytest

from images.web.app import health
from images.web.app.settings import Settings
from tests.support.web_image import variables


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ((200, "ok"), 0, "ok\n"),
        ((503, "the message is missing"), 1, "the message is missing\n"),
        (ConnectionRefusedError("refused"), 1, "it doesn't answer: refused\n"),
        (http.client.BadStatusLine("x"), 1, "it doesn't answer: x\n"),
    ],
)
def test_the_engine_is_told_by_the_exit_status(
    answer: tuple[int, str] | Exception,
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def ask(settings: Settings) -> tuple[int, str]:
        if isinstance(answer, Exception):
            raise answer
        return answer

    for name, value in variables(tmp_path, 8443).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(health, "ask", ask)
    assert health.main() == status
    assert capsys.readouterr().out == said
