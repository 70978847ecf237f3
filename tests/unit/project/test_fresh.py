"""`doit test:fresh`: what goes into the bare Debian, what it says about the time, and what it counts as a fault."""

from pathlib import Path
from typing import ClassVar

import pytest

from images.toolchain import DEPLOYED
from tests.fresh import run
from tests.fresh.debian import ABSENT, FreshDebian

LISTED = "\n".join(f"{name}\t1.0.0\tcache\t/x/{name}" for name in DEPLOYED)


class Inside(FreshDebian):
    """A Debian that answers without being there; `answers` has what it prints, by a part of the command."""

    answers: ClassVar[dict[str, str]] = {"toolchain list": LISTED}

    def says(self, command: str) -> str:
        return next((said for part, said in self.answers.items() if part in command), "")


def test_only_what_reaches_registries_goes_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOPROXY", "direct; rm x")
    monkeypatch.setenv("CALVINVERSE_TOKEN", "secret")
    variables = FreshDebian(tmp_path, print)._variables()
    assert "'GOPROXY=direct; rm x'" in variables
    assert "secret" not in variables
    assert "HOME=/root" in variables


def test_the_time_on_other_processors_is_said_to_be_a_division() -> None:
    took = [run.Took("make ready", 100.0, 30.0), run.Took("tools", 3000.0, 1410.0)]
    *parts, last = run.table(took, 4)
    assert parts == [
        "make ready: 1m40s by the clock, 30 processor seconds",
        "tools: 50m00s by the clock, 1410 processor seconds",
    ]
    assert last.startswith("Together 1440 processor seconds on this machine of 4: ")
    assert "at least 12.0 min, by division and not by measurement" in last


def test_all_tools_in_the_cache_and_nothing_beside_it_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    debian = Inside(tmp_path, print)
    assert list(run.found_faults(debian)) == []
    monkeypatch.setattr(
        Inside,
        "answers",
        {
            "toolchain list": LISTED.replace("nomad\t1.0.0\tcache", "nomad\t1.10.5\tmissing")
            + "\nregistry\t3\tmissing\t",
            "ls -d": "/root/go",
            "command -v go": "/usr/bin/go",
        },
    )
    assert list(run.found_faults(debian)) == [
        "nomad is not in the cache: nomad\t1.10.5\tmissing\t/x/nomad",
        "Go left its caches outside of ours: /root/go",
        "There is a Go on the PATH.",
    ]


def test_no_compiler_no_go_and_no_engine_is_there_at_first() -> None:
    assert {"go", "gcc", "docker", "dockerd", "npm"} <= set(ABSENT)
