"""The recipes of this checkout on the real Packer, what they are given, and that `base` can be made again."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from images.catalogue.records import BuildRecord
from images.docker import Docker
from images.errors import ImageBuildFailed, InvalidRecipe
from images.pipeline.builder import Builder
from images.pipeline.check import check_recipes
from images.pipeline.packer import PackerCommand
from images.pipeline.packer import build as packer_build
from images.pipeline.prepare import Preparation, debian_sources, prepare
from images.pipeline.recipe import Recipe, load_recipes
from images.places import CHECKOUT
from images.toolchain import packer_environment, require
from tests.support.docs_image import write_example

RECIPES = load_recipes()
FOLDERS = {
    file.parent.relative_to(CHECKOUT / "images").as_posix(): (recipe, file.parent)
    for recipe in RECIPES.values()
    for file in recipe.folder.rglob("*.pkr.hcl")
}
VALUES = {
    "python": "python3",
    "parent": "sha256:0",
    "container": "nobody",
    "source_date_epoch": "1735689600",
    "labels": '{"org.opencontainers.image.title": "T"}',
}


@pytest.fixture(scope="module")
def packer() -> PackerCommand:
    return PackerCommand(require("packer")["packer"], packer_environment())


@pytest.fixture(scope="module")
def base() -> BuildRecord:
    """The base of this checkout."""
    return Builder().build_one("base", print)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder, where other users of a chroot can reach it."""
    tmp_path.chmod(0o711)
    folder = tmp_path / "work"
    folder.mkdir(mode=0o711)
    return folder


@pytest.mark.parametrize(("recipe", "folder"), FOLDERS.values(), ids=FOLDERS)
@pytest.mark.parametrize("command", [["validate"], ["fmt", "-check", "-diff"]], ids=["valid", "formatted"])
def test_every_recipe_is(recipe: Recipe, folder: Path, command: list[str], packer: PackerCommand, work: Path) -> None:
    """What the steps of `prepare` leave is there but empty: Packer looks whether files to upload exist."""
    for uploaded in ("wheels", "own", "pip", "bin", "debs", "unpacked", "providers", "assets"):
        (work / uploaded).mkdir()
    for file in ("sources.list", *(f"bin/{name}" for name in recipe.build.binaries)):
        (work / file).touch()
    values = {**VALUES, **recipe.build.variables, "work": str(work)}
    done = subprocess.run(
        [str(packer.executable), *command, str(folder)],
        env={**os.environ, **packer.environment, **{f"PKR_VAR_{name}": value for name, value in values.items()}},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout


def test_the_image_of_the_docs_is_built_and_validated_as_it_is_written(base: BuildRecord, tmp_path: Path) -> None:
    """`base` is that of this checkout: the other one needn't build it."""
    checkout, state = tmp_path / "checkout", tmp_path / "state"
    folder = write_example(checkout)
    recipe = folder / "hello.pkr.hcl"
    good = recipe.read_text(encoding="utf-8")
    for wrong, complaint in {
        good.replace('variable "colour"', 'variable "color"').replace("var.colour", "var.color"): (
            r"`build\.variables\.colour`: the Packer recipe declares no variable colour"
        ),
        good.replace("${var.work}", "${var.wrok}"): r"images/hello.*line \d+.*wrok",
    }.items():
        recipe.write_text(wrong, encoding="utf-8")
        with pytest.raises(InvalidRecipe, match=complaint):
            check_recipes(checkout, state)
    recipe.write_text(good, encoding="utf-8")
    assert check_recipes(checkout, state) == (2, True)

    record = Builder(checkout, state, _made={"base": base}).build_one("hello", print)

    docker = Docker()
    try:
        assert record.validation is not None
        assert {"test_hello::test_it_has_its_colour"} < set(record.validation.names)
        config = (docker.inspect(record.image_id) or {})["Config"]
        assert config["Entrypoint"][-1] == "cat"
    finally:
        docker.remove(record.image_id)


def test_base_made_again_from_the_same_packages_is_the_same_image(base: BuildRecord) -> None:
    again = Builder(anew=True).build_one("base", print)
    assert again.build != base.build
    assert again.image_id == base.image_id


def test_base_can_be_made_from_an_image_of_a_registry(base: BuildRecord, packer: PackerCommand, work: Path) -> None:
    recipe, log, docker = RECIPES["base"], work.parent / "log", Docker()
    container = f"calvinverse-test-{os.getpid()}"
    debian_sources(Preparation(recipe, work, log, CHECKOUT, base.image_id))

    made = packer_build(
        packer,
        recipe.folder / "from-registry",
        {"work": str(work), "parent": base.image_id, "container": container, "labels": {"a": "b"}},
        work,
        log,
        cwd=CHECKOUT,
        limit=300,
        on_step=lambda _: None,
    )

    assert made.image_id is not None
    try:
        config = (docker.inspect(made.image_id) or {})["Config"]
        before = (docker.inspect(base.image_id) or {})["Config"]
        assert {name: config[name] for name in ("User", "Env", "Cmd", "WorkingDir")} == {
            name: before[name] for name in ("User", "Env", "Cmd", "WorkingDir")
        }
        assert config["Healthcheck"]["Test"] == before["Healthcheck"]["Test"]
        assert config["Labels"]["a"] == "b"
        listed = (work / "packages.tsv").read_text(encoding="utf-8")
        assert sorted(listed.splitlines()) == recipe.packages_lock.read_text(encoding="utf-8").splitlines()
    finally:
        docker.remove_untagged(made.image_id)


def test_debian_packages_come_with_what_the_parent_lacks_and_no_more(base: BuildRecord, work: Path) -> None:
    content = {
        "name": "x",
        "folder": work.parent,
        "image": {"title": "T", "description": "D", "parent": "base"},
        "build": {"prepare": ["debian-packages"], "packages": ["jq", "tini"], "unpacked": ["git"]},
    }

    prepare(Preparation(Recipe.model_validate(content), work, work.parent / "log", CHECKOUT, base.image_id), print)

    assert {file.name.split("_")[0] for file in (work / "debs").iterdir()} == {"jq", "libjq1", "libonig5"}
    assert [file.name.split("_")[0] for file in (work / "unpacked").iterdir()] == ["git"]
    # They suffice: dpkg can install them where there is no network.
    command = "mkdir /tmp/d && cd /tmp/d && tar x && dpkg -i *.deb >&2 && echo '[1]' | jq -c ."
    packed = subprocess.run(["tar", "c", "-C", str(work / "debs"), "."], capture_output=True, check=True, timeout=120)
    run = ["docker", "run", "--rm", "-i", "--network=none", "--user=0", base.image_id, "sh", "-c", command]
    done = subprocess.run(run, input=packed.stdout, capture_output=True, check=False, timeout=120)
    assert done.stdout == b"[1]\n", done.stderr.decode()


def test_debian_packages_come_without_what_is_left_out(base: BuildRecord, work: Path) -> None:
    build = {"prepare": ["debian-packages"], "packages": ["jq"], "without": ["libjq1"]}
    content: dict[str, Any] = {"name": "x", "folder": work.parent, "image": {"title": "T", "description": "D"}}
    content["image"]["parent"] = "base"

    prepare(
        Preparation(
            Recipe.model_validate({**content, "build": build}), work, work.parent / "log", CHECKOUT, base.image_id
        ),
        print,
    )

    (jq,) = (work / "debs").iterdir()
    command = "cat >/tmp/jq.deb && dpkg --install --ignore-depends=libjq1 /tmp/jq.deb >&2 && dpkg-query --show jq"
    run = ["docker", "run", "--rm", "-i", "--network=none", "--user=0", base.image_id, "sh", "-c", command]
    done = subprocess.run(run, input=jq.read_bytes(), capture_output=True, check=False, timeout=120)
    assert done.stdout.startswith(b"jq\t"), done.stderr.decode()

    shutil.rmtree(work / "debs")
    shutil.rmtree(work / "unpacked")
    unknown = Recipe.model_validate({**content, "build": {**build, "without": ["no-such-package"]}})
    with pytest.raises(ImageBuildFailed, match="no-such-package"):
        prepare(Preparation(unknown, work, work.parent / "log", CHECKOUT, base.image_id), print)


def test_programs_of_the_toolchain_are_given_to_recipes(work: Path) -> None:
    recipe = RECIPES["registry"]
    prepare(Preparation(recipe, work, work.parent / "log", CHECKOUT, "sha256:0"), print)
    said = subprocess.run(
        [str(work / "bin" / "registry"), "--version"], capture_output=True, text=True, check=True, timeout=120
    )
    assert said.stdout.split()[-1] == "v3.1.2"
