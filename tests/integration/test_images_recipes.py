"""The recipes of this checkout on the real Packer, and that `base` can be made again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from images.pipeline.builder import Builder, build
from images.pipeline.packer import PackerCommand
from images.pipeline.packer import build as packer_build
from images.pipeline.prepare import debian_sources
from images.pipeline.recipe import Recipe, load_recipes
from images.places import CHECKOUT
from images.toolchain import packer_environment, require

RECIPES = load_recipes()
VALUES = {
    "python": "python3",
    "parent": "sha256:0",
    "container": "nobody",
    "labels": '{"org.opencontainers.image.title": "T"}',
}


@pytest.fixture(scope="module")
def packer() -> PackerCommand:
    return PackerCommand(require("packer")["packer"], packer_environment())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("command", [["validate"], ["fmt", "-check", "-diff"]], ids=["valid", "formatted"])
def test_every_recipe_is(recipe: Recipe, command: list[str], packer: PackerCommand, tmp_path: Path) -> None:
    for uploaded in ("wheels", "own", "pip"):
        (tmp_path / uploaded).mkdir()
    variables = {"PKR_VAR_work": str(tmp_path)} | {f"PKR_VAR_{name}": value for name, value in VALUES.items()}
    done = subprocess.run(
        [str(packer.executable), *command, str(recipe.folder)],
        env={**os.environ, **packer.environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout


def test_base_made_again_from_the_same_packages_is_the_same_image(tmp_path: Path, packer: PackerCommand) -> None:
    (before,) = build(["base"], print)
    builder = Builder()
    labels = (builder.docker.inspect(before.image_id) or {})["Config"]["Labels"]
    work, log = tmp_path / "work", tmp_path / "log"
    work.mkdir()
    tmp_path.chmod(0o711)
    debian_sources(RECIPES["base"], work, log, CHECKOUT)

    made = packer_build(
        packer,
        RECIPES["base"].folder,
        {"work": str(work), "python": sys.executable, "labels": labels},
        work,
        log,
        cwd=CHECKOUT,
        limit=600,
        on_step=lambda _: None,
    )

    form = "${Package}\t${Version}\t${Architecture}\n"
    asked = ["docker", "run", "--rm", "--network=none", before.image_id, "dpkg-query", "--show", "--showformat", form]
    inside = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout
    if inside != (work / "packages.tsv").read_text():
        pytest.skip("Debian has published other package versions since the image was made")
    assert made.archive is not None
    again = builder.docker.load(made.archive)
    builder.docker.remove_untagged(again)
    assert again == before.image_id
