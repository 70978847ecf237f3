"""What a run of a bench does with what it found."""

from pathlib import Path

import pytest

from tests.bench.figures import Figure
from tests.bench.kept import commit, read
from tests.bench.telling import Run

EMPTY = "<!-- made by `doit bench`: begin -->\n<!-- made by `doit bench`: end -->\n"


@pytest.fixture
def said() -> list[str]:
    """What was reported."""
    return []


def begin(folder: Path, said: list[str]) -> Run:
    (folder / "kept.md").write_text(EMPTY)
    return Run("bench", said.append, file=folder / "kept.json", page=folder / "kept.md")


def test_a_run_keeps_its_figures_and_the_next_one_compares(
    tmp_path: Path, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, said).tell([Figure("bytes", 100, noise=0)])
    assert "No figures were kept to compare with." in capsys.readouterr().out
    kept = read(tmp_path / "kept.json")["bench"]
    assert kept.commit == commit()
    page = (tmp_path / "kept.md").read_text()
    assert "| bytes | 100 ms |" in page

    again = Run("bench", said.append, file=tmp_path / "kept.json", page=tmp_path / "kept.md")
    again.tell([Figure("bytes", 200, noise=0)], too_few="30 pairs")
    assert "slower: bytes: 200 ms, was 100 ms, +100 %; noise 0 ms." in capsys.readouterr().out
    assert read(tmp_path / "kept.json")["bench"] == kept
    assert (tmp_path / "kept.md").read_text() == page
    assert said == ["kept.json and kept.md have the new figures.", "kept.md stays as it is: it takes 30 pairs."]


def test_a_damaged_file_is_told_at_once_and_left_alone(
    tmp_path: Path, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept.json").write_text("{")
    run = begin(tmp_path, said)
    assert said[0].endswith("Nothing will be compared or kept: restore the file with git.")
    run.tell([Figure("bytes", 100, noise=0)])
    assert "| bytes | 100 ms |" in capsys.readouterr().out
    assert said[1].startswith("kept.md stays as it is. kept.json can't be read")
    assert ((tmp_path / "kept.json").read_text(), (tmp_path / "kept.md").read_text()) == ("{", EMPTY)
