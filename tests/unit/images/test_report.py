"""What is printed in locales that lack its characters."""

import io
import sys

import pytest

from images.report import PlainReport, show_any_text

TEXT = "✓ häufig — 12 s"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", b"? h?ufig ? 12 s\n"), ("latin-1", "? häufig ? 12 s\n".encode("latin-1"))]
)
def test_characters_that_a_locale_lacks_become_question_marks(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: bytes
) -> None:
    for name in ("stdout", "stderr"):
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding=encoding)
        with pytest.raises(UnicodeEncodeError):
            stream.write(TEXT)
        monkeypatch.setattr(sys, name, stream)
        show_any_text()
        PlainReport(stream)(TEXT)
        assert written.getvalue() == shown


def test_streams_that_are_no_files_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is missing where a program was started without it."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    show_any_text()
