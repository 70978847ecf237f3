"""What `calvinverse doctor` and `doit deploy` see of other Nomads on the engine, and what they say."""

from pathlib import Path
from typing import Any

import pytest

from images import machine
from images.neighbours import ADVICE, Neighbours
from jobs import tasks
from tests.support.machine_checks import empty_machine


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_machine(tmp_path, monkeypatch)


def test_doctor_warns_and_says_what_it_may_do_and_what_to_set(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "neighbours", lambda folder: Neighbours(("theirs-1",)) if folder == state else None)
    (check,) = machine.others()
    assert (check.name, check.verdict) == ("neighbours", "warn")
    assert "1 running container (theirs-1)" in check.sentence
    assert "containers that it doesn't know" in check.hint
    assert "dangling_containers { enabled = false }" in check.hint
    monkeypatch.setattr(machine, "neighbours", lambda folder: Neighbours())
    (check,) = machine.others()
    assert check.verdict == "ok"


@pytest.mark.parametrize(("nomad", "warned"), [("", True), ("http://nomad.example:4646", False)])
def test_deploy_warns_before_it_starts(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nomad: str, warned: bool
) -> None:
    """Not where jobs run in a Nomad of the user's own: it knows its containers."""

    class Stop(Exception):
        pass

    def deploy(*arguments: object) -> None:
        raise Stop

    class Images:
        def deployable(self, *names: object) -> object:
            return type("Image", (), {"reference": "sha256:1"})()

        def at(self, *names: object) -> object:
            return None

        def deployables(self, *names: object) -> list[object]:
            return []

    monkeypatch.setattr(tasks, "neighbours", lambda folder: Neighbours(agents=("nomad (7)",)))
    monkeypatch.setattr(tasks, "Catalogue", Images)
    monkeypatch.setattr(tasks, "require", lambda *names: {})
    monkeypatch.setattr("jobs.deploy.deploy", deploy)
    parts: dict[str, Any] = {
        f"{part}{what}": "" for part in ("consul", "openbao", "nomad") for what in ("", "_token_file", "_ca_file")
    }
    with pytest.raises(Stop):
        tasks.deploy(**{**parts, "nomad": nomad, "nomad_token_file": "token"})
    said = "".join(capsys.readouterr())
    assert ("nomad (7)" in said and ADVICE in said.replace("\n", " ")) is warned
