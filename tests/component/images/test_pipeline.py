"""The parts of the image pipeline that need neither Docker nor Packer."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from images.errors import InvalidRecipe
from images.pipeline.files import matching
from images.pipeline.history import NO_HISTORY, describe, origin
from images.pipeline.inputs import EPOCH, REVISION, image_inputs
from images.pipeline.recipe import load_recipes
from tests.support.image_recipes import ABOUT, inputs, keys, recipe


class TestKey:
    def test_it_is_the_same_whatever_the_file_times_say(self, checkout: Path) -> None:
        before = keys(checkout)
        os.utime(checkout / "lock", (1, 1))
        (checkout / "images" / "b" / "x.pyc").write_text("left by Python")
        assert keys(checkout) == before

    def test_an_input_of_the_parent_changes_both(self, checkout: Path) -> None:
        before = keys(checkout)
        (checkout / "lock").write_text("2")
        after = keys(checkout)
        assert after["a"] != before["a"]
        assert after["b"] != before["b"]

    def test_a_file_of_the_child_changes_the_child_alone(self, checkout: Path) -> None:
        before = keys(checkout)
        (checkout / "images" / "b" / "script.sh").chmod(0o755)
        after = keys(checkout)
        assert after["a"] == before["a"]
        assert after["b"] != before["b"]

    def test_another_version_of_a_tool_or_of_the_project_changes_all(self, checkout: Path) -> None:
        before = keys(checkout)
        assert set(before.values()).isdisjoint(keys(checkout, version="2.0").values())
        (checkout / "pyproject.toml").write_text('[project]\nversion = "2"\n')
        assert set(before.values()).isdisjoint(keys(checkout).values())

    def test_what_changed_is_named(self, checkout: Path) -> None:
        before = inputs(checkout)["a"]
        (checkout / "lock").write_text("2")
        (checkout / "images" / "a" / "new").write_text("")
        after = inputs(checkout)["a"]
        assert after.changed_since(before.entries) == ["images/a/new", "lock"]

    def test_files_behind_links_and_with_a_dot_before_their_names_count(self, checkout: Path) -> None:
        behind, folder = checkout / "shared" / "deep", checkout / "images" / "b"
        behind.mkdir(parents=True)
        (behind / "file").write_text("1")
        (folder / "link").symlink_to(checkout / "shared")
        (folder / "self").symlink_to(folder)
        (folder / "nowhere").symlink_to("gone")
        (folder / ".hidden").write_text("1")
        before = inputs(checkout)["b"]
        assert {"images/b/link/deep/file", "images/b/.hidden"} < set(before.entries)
        assert not [name for name in before.entries if "/self/" in name or "nowhere" in name]

        (behind / "file").write_text("2")
        assert inputs(checkout)["b"].changed_since(before.entries) == ["images/b/link/deep/file"]
        (folder / ".hidden").write_text("2")
        assert inputs(checkout)["b"].key not in {before.key, keys(checkout)["a"]}

    def test_inputs_are_found_through_links_and_on_all_levels(self, checkout: Path) -> None:
        for path in ("app/x.py", "app/deep/y.py", "app/deep/.z", "app/deep/more/y.txt", "other/app/x.py"):
            (checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (checkout / path).write_text("")
        (checkout / "app" / "link").symlink_to(checkout / "other")
        linked = ["app/link/app/x.py"]
        for pattern, expected in {
            "app/x.py": ["app/x.py"],
            "app/*": ["app/x.py"],
            "./app/*/*.py": ["app/deep/y.py"],
            "app/**/*.py": ["app/deep/y.py", *linked, "app/x.py"],
            "app/**": ["app/deep/.z", "app/deep/more/y.txt", "app/deep/y.py", *linked, "app/x.py"],
            "app/**/more/*": ["app/deep/more/y.txt"],
            "nothing/**/*": [],
        }.items():
            found = sorted(path.relative_to(checkout).as_posix() for path in matching(checkout, pattern))
            assert found == expected, pattern

    def test_the_services_image_depends_on_its_sources_but_not_on_tests_or_docs(self) -> None:
        entries = image_inputs(load_recipes()["provisioning"], "sha256:1", lambda _: "1").entries
        assert "environments/domain/errors.py" in entries
        assert "images/provisioning/requirements.lock" in entries
        assert not [name for name in entries if name.startswith(("tests/", "docs/", "README"))]


class TestHistory:
    def test_without_git_the_epoch_is_what_the_caller_says(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        assert origin(checkout, "a", ["lock"]).epoch == NO_HISTORY
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1234567890")
        found = origin(checkout, "a", ["lock"])
        assert (found.commit, found.epoch, found.revision) == ("", 1234567890, "unknown")

    def test_the_epoch_is_that_of_the_last_commit_that_touched_the_files(self, checkout: Path) -> None:
        first = commit(checkout, "first", "2026-01-01T00:00:00Z")
        (checkout / "unrelated").write_text("")
        second = commit(checkout, "second", "2026-02-01T00:00:00Z")

        found = origin(checkout, "a", ["lock"])

        assert (found.commit, found.touched, found.revision) == (second, first, first)
        assert (found.epoch, found.dirty) == (1767225600, False)
        (checkout / "lock").write_text("changed")
        assert origin(checkout, "a", ["lock"]).revision == f"{first}-dirty"
        assert origin(checkout, "a", ["unrelated"]).revision == second

    def test_git_is_asked_about_what_links_lead_to(self, checkout: Path) -> None:
        folder = checkout / "images" / "b"
        (checkout / "shared").mkdir()
        (checkout / "shared" / "file").write_text("")
        (folder / "link").symlink_to(checkout / "shared")
        first = commit(checkout, "first", "2026-01-01T00:00:00Z")
        (checkout / "unrelated").write_text("")
        commit(checkout, "second", "2026-02-01T00:00:00Z")
        assert origin(checkout, "b", ["images/b/link/file"]).revision == first
        (checkout / "shared" / "file").write_text("changed")
        assert origin(checkout, "b", ["images/b/link/file"]).revision == f"{first}-dirty"

    def test_only_an_image_that_starts_from_nothing_depends_on_it(self, checkout: Path) -> None:
        commit(checkout, "first", "2026-01-01T00:00:00Z")
        before = inputs(checkout)
        assert {EPOCH, REVISION} <= set(before["a"].entries)
        assert not {EPOCH, REVISION} & set(before["b"].entries)
        (checkout / "unrelated").write_text("")
        commit(checkout, "second", "2026-02-01T00:00:00Z")
        assert keys(checkout) == {name: found.key for name, found in before.items()}

    def test_a_tree_that_was_sent_without_git_gives_the_same_keys(self, checkout: Path, tmp_path_factory: Any) -> None:
        commit(checkout, "first", "2026-01-01T00:00:00Z")
        sent = tmp_path_factory.mktemp("sent") / "tree"
        shutil.copytree(checkout, sent, ignore=shutil.ignore_patterns(".git"))
        assert keys(sent) != keys(checkout)
        (sent / "source.json").write_text(json.dumps(describe(checkout, load_recipes(checkout))))
        assert keys(sent) == keys(checkout)
        (sent / "source.json").write_text("{")
        with pytest.raises(InvalidRecipe, match=r"source\.json"):
            keys(sent)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two images, `b` made from `a`."""
    recipe(tmp_path, "a", f'{ABOUT}[build]\ninputs = ["lock"]\ntools = ["t"]\n')
    recipe(tmp_path, "b", f'{ABOUT}parent = "a"\n')
    (tmp_path / "lock").write_text("1")
    (tmp_path / "images" / "b" / "script.sh").write_text("true")
    return tmp_path


def commit(checkout: Path, message: str, at: str) -> str:
    """Commits everything at a moment and gives the commit."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_DATE": at,
        "GIT_COMMITTER_DATE": at,
    }
    git = ["git", "-C", str(checkout), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", message]):
        subprocess.run([*git, *arguments], env=environment, check=True, timeout=120)
    done = subprocess.run([*git, "rev-parse", "HEAD"], env=environment, check=True, timeout=120, capture_output=True)
    return done.stdout.decode().strip()
