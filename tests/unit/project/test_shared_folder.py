"""What another user has put into the folder for temporary files isn't used by tests."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cluster import remove_stale
from tests.support.shared_folder import shared_folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the folder of the clusters is, which isn't there yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = shared_folder("clusters")
    found.rmdir()
    return found


def test_it_is_made_for_its_user_alone_and_used_again(place: Path) -> None:
    assert shared_folder("clusters") == shared_folder("clusters") == place
    assert place.stat().st_mode & 0o777 == 0o700


def _open_to_all(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


def _elsewhere(place: Path) -> None:
    other = place.parent / "other"
    other.mkdir(mode=0o700)
    place.symlink_to(other)


@pytest.mark.parametrize("put", [_open_to_all, _elsewhere])
def test_a_folder_that_others_can_write_to_is_refused_and_nothing_is_removed(
    place: Path, put: Callable[[Path], None]
) -> None:
    put(place)
    named = place.parent / "home"
    named.mkdir()
    (place / "claim").write_text(str(named))
    with pytest.raises(PermissionError, match="Others can write"):
        remove_stale()
    assert named.is_dir()
