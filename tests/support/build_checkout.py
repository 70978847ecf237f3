"""A small checkout whose images can be built."""

from pathlib import Path

import pytest

ABOUT = '[image]\ntitle = "T"\ndescription = "D"\n'


def make_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with one image, on a machine whose mirrors and certificates are known."""
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CALVINVERSE_DEBIAN_SOURCES", str(tmp_path / "mirrors"))
    (tmp_path / "mirrors").write_text("deb http://mirror bookworm main\n")
    folder = tmp_path / "checkout"
    (folder / "images" / "one" / "provision").mkdir(parents=True)
    (folder / "images" / "one" / "image.toml").write_text(ABOUT)
    (folder / "images" / "one" / "provision" / "run.sh").write_text("true\n")
    (folder / "images" / "one" / "provision" / "run.sh").chmod(0o755)
    (folder / "pyproject.toml").write_text('[project]\nname = "t"\nversion = "1"\n')
    return folder
