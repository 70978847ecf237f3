"""Cases that an older version takes no more, by the table that says so: told and left out, and nothing else is."""

import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.places import CHECKOUT
from tests.support.attack_harness import Person, bundle

CASES = Path(__file__).resolve().parent.parent / "cases" / "upgrade"
TABLE = CASES / "refused.toml"

NAME = "name"
"""The case that is no template: an environment that is named like an id."""


Tell = Callable[[str], object]


@dataclass(frozen=True)
class Refusal:
    """From which commit on a case is refused, and with which error's code."""

    since: str
    code: str


def refusals(table: Path = TABLE) -> dict[str, Refusal]:
    """By the folder of the case. Raises `TypeError` for a line that says less or more, `AssertionError` without one."""
    found = {name: Refusal(**line) for name, line in tomllib.loads(table.read_text(encoding="utf-8")).items()}
    assert not (strange := [name for name in found if name != NAME and not (CASES / name).is_dir()]), (
        f"no cases: {strange}"
    )
    return found


def refused_by(commit: str, table: Path = TABLE, checkout: Path = CHECKOUT) -> dict[str, Refusal]:
    """Those that a commit refuses: that of the table, and all behind it. Raises `AssertionError` for an unknown one."""
    return {name: line for name, line in refusals(table).items() if _comes_after(commit, line.since, checkout)}


def push(person: Person, case: str, expected: Refusal | None, tell: Tell) -> bool:
    """Pushes a case; False, and told, when it is refused as expected. Raises `AssertionError` when it isn't so."""
    return taken(person, case, "/v1/templates", {"files": bundle(CASES / case)}, expected, tell) is not None


def taken(person: Person, case: str, path: str, body: Any, expected: Refusal | None, tell: Tell) -> Any:
    """The answer to what a case asks for; None, and told, when it is refused as expected. Raises `AssertionError`."""
    if expected is None:
        return person.post(path, body)
    answer = person.http.post(path, json=body)
    code = answer.json().get("code", "none")
    assert code == expected.code, (case, expected, answer.status_code, answer.text)
    tell(f"  The case {case} is left out: versions since {expected.since} refuse it ({code}).")
    return None


def _comes_after(commit: str, since: str, checkout: Path) -> bool:
    asked = ["git", "merge-base", "--is-ancestor", since, commit]
    done = subprocess.run(asked, cwd=checkout, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (0, 1), f"git can't tell whether {commit} comes after {since}: {done.stderr.strip()}"
    return done.returncode == 0
