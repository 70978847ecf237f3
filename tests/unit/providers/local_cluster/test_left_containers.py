"""What is kept of containers that stay: a file that somebody damaged or forged names nothing that isn't ours."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from environments.belongings import LEFT_CONTAINERS
from environments.providers.local_cluster.agents import left_containers, leftovers

OURS = "0aa1b2c3-0000-4000-8000-00000000000"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Path], list[str]]]:
    """What the engine is asked to remove."""
    found: list[tuple[list[Path], list[str]]] = []

    def remove(folders: Collection[Path], allocations: Collection[str]) -> bool:
        found.append((list(folders), list(allocations)))
        return True

    monkeypatch.setattr(leftovers, "remove_containers_below", remove)
    return found


@pytest.mark.parametrize(
    "name", ["", "web", "*", OURS, f"{OURS}1\n", f"{OURS}1/..", f"{OURS}G", f"{OURS}1".upper(), 1, None, ["x"], {}]
)
def test_only_ids_that_nomad_makes_count(tmp_path: Path, asked: list[Any], name: Any) -> None:
    kept = {"folders": [str(tmp_path / "agents")], "allocations": [name, f"{OURS}1"]}
    (tmp_path / LEFT_CONTAINERS).write_text(json.dumps(kept))
    assert left_containers.remove(tmp_path)
    assert asked == [([tmp_path / "agents"], [f"{OURS}1"])]
    assert not (tmp_path / LEFT_CONTAINERS).exists()


def test_only_folders_below_the_state_count(tmp_path: Path, asked: list[Any]) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "out").symlink_to("/")
    inner = str(tmp_path / "agents")
    others = ["/", str(tmp_path), f"{tmp_path}/.", f"{tmp_path}/..", f"{tmp_path}/a\0b", f"{tmp_path}/out/var", 7, None]
    long = f"{tmp_path}/{'x' * 5000}"
    kept = {"folders": [*others, long, f"{tmp_path}/circle/x", inner], "allocations": "none"}
    (tmp_path / LEFT_CONTAINERS).write_text(json.dumps(kept))
    assert left_containers.remove(tmp_path)
    assert asked[0][0][-1] == Path(inner)
    assert not set(asked[0][0]) & {Path(str(other)) for other in others}
    assert asked[0][1] == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"folders": {"/": 1}}', '{"allocations": []}', "\xff", "[" * 9999])
def test_what_is_no_such_file_names_nothing(tmp_path: Path, asked: list[Any], text: str) -> None:
    (tmp_path / LEFT_CONTAINERS).write_text(text, encoding="latin-1")
    assert left_containers.remove(tmp_path)
    assert asked == []


def test_what_is_kept_can_be_read_again_however_much_it_is(tmp_path: Path, asked: list[Any]) -> None:
    many = [f"0aa1b2c3-0000-4000-8000-{number:012x}" for number in range(30_000)]
    left_containers.keep(tmp_path, [tmp_path / "one"], [*many, "web"])
    left_containers.keep(tmp_path, [tmp_path / "two"], [f"{OURS[:8]}-1111-4000-8000-000000000001"])
    assert left_containers.remove(tmp_path)
    folders, allocations = asked[0]
    assert folders == [tmp_path / "one", tmp_path / "two"]
    assert f"{OURS[:8]}-1111-4000-8000-000000000001" in allocations
    assert len(allocations) == 10_000
