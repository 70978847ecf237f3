"""Recipes in a checkout of a test, for the tests of the pipeline of images."""

from pathlib import Path

from images.pipeline.inputs import Inputs, image_inputs
from images.pipeline.recipe import load_recipes

ABOUT = '[image]\ntitle = "T"\ndescription = "D"\n'


def recipe(checkout: Path, name: str, content: str) -> Path:
    """Writes the folder of an image and returns it."""
    folder = checkout / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.toml").write_text(content)
    if not (checkout / "pyproject.toml").exists():
        (checkout / "pyproject.toml").write_text('[project]\nversion = "1"\n')
    return folder


def inputs(checkout: Path, version: str = "1.0") -> dict[str, Inputs]:
    """The inputs of every image; as id of the image that one starts from stands its key."""
    found: dict[str, Inputs] = {}
    for name, each in load_recipes(checkout).items():
        parent = found[each.image.parent].key if each.image.parent else ""
        found[name] = image_inputs(each, parent, lambda _: version, checkout)
    return found


def keys(checkout: Path, version: str = "1.0") -> dict[str, str]:
    return {name: found.key for name, found in inputs(checkout, version).items()}
