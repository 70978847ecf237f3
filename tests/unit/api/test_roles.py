"""What a process of the service does by its role: settings that fit, the key that all share, what a worker answers."""

from pathlib import Path

import pytest

from environments.domain.errors import InvalidInput, StorageError
from environments.settings import read_settings
from environments.stores.sealing import KeyFileSealer

SHARED = {"CALVINVERSE_DATABASE": "postgresql://me@db/calvinverse", "CALVINVERSE_SEALING_KEY": "/keys/key"}


@pytest.mark.parametrize("role", ["api", "worker"])
@pytest.mark.parametrize("lacking", sorted(SHARED))
def test_processes_that_share_need_what_they_share(role: str, lacking: str) -> None:
    given = {"CALVINVERSE_ROLE": role, **SHARED}
    assert read_settings({}, given).role == role
    del given[lacking]
    with pytest.raises(InvalidInput, match=lacking):
        read_settings({}, given)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(InvalidInput, match="role"):
        read_settings({"role": "boss"}, SHARED)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"role": "api"}, "The settings don't fit: the roles api and worker share a database, so they need "),
        ({"keep_logs": "5x"}, "The settings don't fit: keep_logs: '5x' is not a duration."),
    ],
)
def test_what_does_not_fit_is_one_sentence(given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_settings(given, {})
    assert refused.value.message.startswith(message)
    assert not refused.value.message.endswith("..")


def test_the_key_lies_beside_the_database_unless_another_is_named(tmp_path: Path) -> None:
    assert read_settings({"data": tmp_path}, {}).key_file == tmp_path / "parameters.key"
    assert read_settings({"data": tmp_path, "sealing_key": tmp_path / "shared"}, {}).key_file == tmp_path / "shared"


def test_another_key_is_told(tmp_path: Path) -> None:
    sealed = KeyFileSealer(tmp_path / "one").seal({"code": "swordfish"})
    with pytest.raises(StorageError, match="is not the key they were sealed with"):
        KeyFileSealer(tmp_path / "other").unseal(sealed)
