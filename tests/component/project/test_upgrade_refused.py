"""Cases of `doit test:upgrade` that a version refuses: left out by the table alone, and never silently."""

import subprocess
from pathlib import Path

import pytest

from tests.support.refusal_table import table
from tests.upgrade.refused import Refusal, refused_by


@pytest.fixture
def commits(tmp_path: Path) -> list[str]:
    """Three commits in a repository at `tmp_path`, the oldest first."""

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
        asked = ["git", *who, *arguments]
        return subprocess.run(
            asked, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120
        ).stdout.strip()

    git("init", "--quiet")
    made = []
    for number in range(3):
        git("commit", "--quiet", "--allow-empty", "--message", str(number))
        made.append(git("rev-parse", "HEAD"))
    return made


def test_a_case_is_refused_from_its_commit_on(tmp_path: Path, commits: list[str]) -> None:
    path = table(tmp_path, commits[1])
    assert refused_by(commits[0], path, tmp_path) == {}
    for commit in commits[1:]:
        assert refused_by(commit, path, tmp_path) == {"pattern": Refusal(commits[1], "invalid_template")}
    with pytest.raises(AssertionError, match="git can't tell"):
        refused_by("f" * 40, path, tmp_path)
