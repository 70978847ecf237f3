"""Checks recipes before anything is built."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from environments.private_files import write_private
from images import toolchain
from images.commands import run
from images.errors import InvalidRecipe
from images.names import FILE
from images.pipeline.files import digest, file_digests, files_below
from images.pipeline.inputs import tool_version
from images.pipeline.prepare import LOCK, STEPS
from images.pipeline.recipe import Recipe, load_recipes
from images.places import CHECKOUT, state_folder

LIMIT = 60.0
"""Time limit in seconds for Packer to check one recipe."""

VALUES = {
    "python": "python3",
    "parent": "sha256:0",
    "container": "nobody",
    "labels": '{"title": "T"}',
    "source_date_epoch": "1735689600",
}
"""Placeholders for the builder's variables."""

LEAVES = {
    "wheelhouse": ("wheels/",),
    "project-wheel": ("own/", "pip/"),
    "debian-packages": ("debs/", "unpacked/"),
    "debian-sources": ("sources.list",),
    "binaries": ("bin/", "providers/"),
    "assets": ("assets/",),
}
"""Files that steps of `prepare` leave in the work folder: Packer checks that a recipe's uploads exist."""

REMEMBERED = "recipes.json"


def check_recipes(checkout: Path = CHECKOUT, state: Path | None = None) -> tuple[int, bool]:
    """Checks every image.toml and what it names, and lets Packer check every recipe.

    Returns the number of recipes, and whether any had to be checked: unchanged recipes are known to be valid.
    Raises InvalidRecipe, which names all faults, and ToolsMissing without Packer.
    """
    recipes = load_recipes(checkout)
    wrong = [problem for recipe in recipes.values() for problem in _problems(recipe, checkout)]
    if wrong:
        raise InvalidRecipe("\n".join(wrong))
    mark = _mark(recipes.values(), checkout)
    memory = (state or state_folder()) / "images" / REMEMBERED
    try:
        if json.loads(memory.read_text(encoding="utf-8")) == {"good": mark}:
            return len(recipes), False
    except (OSError, ValueError):
        pass  # without a stored result they are checked again
    packer = toolchain.require("packer")["packer"]
    environment = {**os.environ, **toolchain.packer_environment()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = pool.map(lambda recipe: _packer_says(packer, recipe, environment), recipes.values())
        wrong = [problem for problem in said if problem]
    if wrong:
        raise InvalidRecipe("\n".join(wrong), hint="Fix the recipe that is named.")
    write_private(memory, json.dumps({"good": mark}))
    return len(recipes), True


def _problems(recipe: Recipe, checkout: Path) -> Iterator[str]:
    shown = f"images/{recipe.name}/{FILE}"
    for step in recipe.build.prepare:
        if step not in STEPS:
            yield f"{shown}: there is no step {step!r} for `prepare`; there are {', '.join(STEPS)}."
    for name in recipe.build.binaries:
        if name not in toolchain.NAMES:
            yield f"{shown}: the toolchain has no {name!r}; it has {', '.join(toolchain.NAMES)}."
    if "wheelhouse" in recipe.build.prepare and not (recipe.folder / LOCK).is_file():
        yield f"{shown}: the step 'wheelhouse' of `prepare` needs images/{recipe.name}/{LOCK}, which isn't there."
    if "debian-packages" in recipe.build.prepare and recipe.from_nothing:
        yield f"{shown}: the step 'debian-packages' of `prepare` needs a parent, or an image in `from`."
    if not list(recipe.packer_folder.glob("*.pkr.hcl")):
        yield f"{shown}: there is no Packer recipe (*.pkr.hcl) in {recipe.packer_folder.relative_to(checkout)}."
    try:
        file_digests(recipe, checkout)
    except InvalidRecipe as error:
        yield error.message


def _packer_says(packer: Path, recipe: Recipe, environment: dict[str, str]) -> str:
    """The fault of a recipe, empty if there is none."""
    with tempfile.TemporaryDirectory(prefix="calvinverse-recipe-") as folder:
        work = Path(folder)
        _stand_in(recipe, work)
        values = {f"PKR_VAR_{name}": value for name, value in {**VALUES, "work": str(work)}.items()}
        # Packer ignores a variable of the environment that the recipe doesn't declare, but not one of these.
        own = [f"-var={name}={value}" for name, value in recipe.build.variables.items()]
        lines: list[str] = []
        ended = run(
            [str(packer), "validate", *own, str(recipe.packer_folder)],
            limit=LIMIT,
            env={**environment, **values},
            on_line=lines.append,
        )
    if ended.status == 0 and not ended.timed_out:
        return ""
    text = [line.strip() for line in lines if line.strip()]
    if undeclared := re.search(r'A "([^"]*)" variable was passed in the command line', " ".join(text)):
        name = undeclared[1]
        return (
            f"images/{recipe.name}/{FILE}: `build.variables.{name}`: the Packer recipe declares no variable {name}. "
            f'Add `variable "{name}" {{ type = string }}` to the recipe, or remove the key.'
        )
    error = next((line for line in text if re.match(r"\*|Error", line)), ended.reason())
    where = next((line for line in text if re.match(r"(on|at) .*line \d+|on .*\.hcl", line)), "")
    why = " ".join(part for part in text[-2:] if part not in (error, where))
    return f"images/{recipe.name}: {' '.join(filter(None, (error, where, why)))}"


def _stand_in(recipe: Recipe, work: Path) -> None:
    """Creates empty files in place of those that the steps of `prepare` would create."""
    programs = [f"bin/{name}" for name in recipe.build.binaries]
    for name in [*(name for step in recipe.build.prepare for name in LEAVES.get(step, ())), *programs]:
        path = work / name
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.touch()


def _mark(recipes: Iterable[Recipe], checkout: Path) -> str:
    """A digest of everything that affects the result."""
    parts = [tool_version("packer"), tool_version("packer-plugin-docker"), digest(Path(__file__))]
    for recipe in recipes:
        parts += [f"{file.relative_to(checkout)} {digest(file)}" for file in files_below(recipe.folder, checkout)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
