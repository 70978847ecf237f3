"""Files of npm packages: fetched once by the lock, and refused if they aren't those that were expected."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from images import assets
from images.errors import AssetsUnavailable, PackagesMissing
from images.pipeline.prepare import Preparation, prepare
from images.pipeline.recipe import Recipe
from images.places import CHECKOUT

CONTENT = b"of a package"
NPM = """#!/bin/sh
echo "$*" >>"$0.asked"
ls >>"$0.asked"
mkdir -p node_modules/a/dist
printf 'of a package' >node_modules/a/dist/a.js
printf 'more' >node_modules/a/more.js
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands for npm, alone on the PATH beside a few others; the cache is empty."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "ls", "mkdir"):
        (folder / name).symlink_to(str(shutil.which(name)))
    program = folder / "npm"
    write(program, NPM)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CALVINVERSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "can_install_packages", lambda: False)
    return program


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / assets.FOLDER
    folder.mkdir(parents=True)
    for name in assets.LOCK:
        (folder / name).write_text("{}")
    digest = sha256(CONTENT).hexdigest()
    (folder / assets.LIST).write_text(
        f'[served]\n"a.js" = {{ from = "a/dist/a.js", sha256 = "{digest}" }}\n[tests]\n', encoding="utf-8"
    )
    return tmp_path / "checkout"


def write(program: Path, text: str) -> None:
    program.write_text(text)
    program.chmod(0o755)


def test_they_are_fetched_once_and_nothing_else_of_the_packages_is_kept(npm: Path, checkout: Path) -> None:
    folder = assets.ensure_assets(print, checkout)
    assert assets.ensure_assets(print, checkout) == folder == assets.find_assets(checkout)
    assert [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()] == ["served/a.js"]
    assert (folder / "served" / "a.js").read_bytes() == CONTENT
    asked = npm.with_name("npm.asked").read_text().splitlines()
    assert asked[0].startswith("ci --ignore-scripts ")
    assert asked[1:] == ["package-lock.json", "package.json"]


def test_another_lock_has_another_folder(npm: Path, checkout: Path) -> None:
    folder = assets.ensure_assets(print, checkout)
    (checkout / assets.FOLDER / "package-lock.json").write_text('{"lockfileVersion": 3}')
    assert assets.find_assets(checkout) is None
    assert assets.ensure_assets(print, checkout) != folder


def test_other_content_than_expected_is_refused_and_not_kept(npm: Path, checkout: Path) -> None:
    write(npm, NPM.replace("of a package", "of somebody else"))
    with pytest.raises(AssetsUnavailable, match="has the SHA-256") as caught:
        assets.ensure_assets(print, checkout)
    assert "write the new digest" in caught.value.hint
    assert assets.find_assets(checkout) is None


def test_what_was_changed_in_the_cache_is_refused(npm: Path, checkout: Path) -> None:
    folder = assets.ensure_assets(print, checkout)
    (folder / "served" / "a.js").write_text("changed")
    with pytest.raises(AssetsUnavailable) as caught:
        assets.ensure_assets(print, checkout)
    assert caught.value.hint.startswith(f"Remove {folder}")


def test_a_failure_of_npm_is_a_sentence_with_its_last_lines(npm: Path, checkout: Path, tmp_path: Path) -> None:
    write(npm, "#!/bin/sh\necho 'npm error 404 of the registry'\nexit 1\n")
    with pytest.raises(AssetsUnavailable, match="The packages can't be fetched") as caught:
        assets.ensure_assets(print, checkout, tmp_path / "log")
    assert "npm error 404 of the registry" in caught.value.hint
    assert "404" in (tmp_path / "log").read_text()


def test_without_npm_it_says_what_to_install(npm: Path, checkout: Path) -> None:
    npm.unlink()
    with pytest.raises(PackagesMissing, match="no npm on the PATH") as caught:
        assets.ensure_assets(print, checkout)
    assert "apt-get install nodejs npm" in caught.value.hint


def test_an_image_gets_those_that_are_served(npm: Path, checkout: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    content = {
        "name": "x",
        "folder": tmp_path,
        "image": {"title": "T", "description": "D"},
        "build": {"prepare": ["assets"]},
    }
    prepare(Preparation(Recipe.model_validate(content), work, tmp_path / "log", checkout), print)
    assert [file.name for file in (work / "assets").iterdir()] == ["a.js"]


def test_a_build_environment_gets_them_with_the_sources(npm: Path, checkout: Path, tmp_path: Path) -> None:
    """There is no npm there."""
    assets.ensure_assets(print, checkout)
    npm.unlink()
    shutil.copytree(assets.kept_assets(checkout), checkout / assets.BUNDLED)
    shutil.rmtree(assets.kept_assets(checkout))
    assert assets.ensure_assets(print, checkout) == checkout / assets.BUNDLED


def test_those_of_this_checkout_are_locked_by_digest_and_by_no_address() -> None:
    lock = json.loads((CHECKOUT / assets.FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["lockfileVersion"] == 3
    packages = {name: of for name, of in lock["packages"].items() if name}
    assert all(of["integrity"].startswith("sha512-") and "resolved" not in of for of in packages.values())
    listed = assets.assets()
    assert {f"node_modules/{name}" for name in ("htmx.org", "@picocss/pico", "axe-core")} == set(packages)
    assert {asset.path.partition("/")[2] for asset in listed if asset.path.startswith("served/")} == {
        "htmx.min.js",
        "hx-sse.min.js",
        "pico.min.css",
    }
