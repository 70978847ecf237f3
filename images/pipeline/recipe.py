"""The recipe of an image: a folder of images/ with an image.toml, a Packer template and its scripts."""

import re
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from images.errors import InvalidRecipe, UnknownImage
from images.names import FILE, image_folders, wrong_name
from images.pipeline.recipe_values import (
    DebianPackage,
    EnvironmentName,
    Glob,
    Program,
    Seconds,
    Subfolder,
    VariableName,
    faults,
    read_toml,
    unknown,
)
from images.places import CHECKOUT

PACKAGES_LOCK = "packages.lock"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class About(_Part):
    """The image's description, and its parent: another folder of images/, or an image of a registry.

    The latter, `from`, is named by digest (`repository@sha256:…`), because a tag may name another image later.
    `on_request`: no deployment needs it, so it is built when it is asked for by name, and kept current from then on.
    """

    title: str
    description: str
    parent: str | None = None
    origin: str | None = Field(default=None, alias="from")
    on_request: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.origin is not None and not re.fullmatch(r"[^\s@]+@sha256:[0-9a-f]{64}", self.origin):
            raise ValueError("`from` names an image by digest: repository@sha256:<64 hex digits>")
        if self.origin is not None and self.parent is not None:
            raise ValueError("`parent` and `from` exclude each other")
        return self


class Build(_Part):
    """Inputs outside of the folder, and the time limit of the build.

    `inputs` are globs from the top of the checkout, and `except` those of what is left out; `prepare` names steps of
    images/pipeline/prepare.py that run on the host first; `tools` are host tools whose versions go into the key. For
    the steps: `binaries` are tools of the toolchain that are put into the image; `packages` are Debian packages with
    their dependencies, except those that `without` names; `unpacked` are Debian packages of which only files are
    wanted. `recipe` is the sub-folder with the Packer recipe; `variables` are given to it.
    """

    inputs: tuple[Glob, ...] = ()
    except_: tuple[Glob, ...] = Field(default=(), alias="except")
    prepare: tuple[str, ...] = ()
    tools: tuple[Program, ...] = ()
    binaries: tuple[str, ...] = ()
    packages: tuple[DebianPackage, ...] = ()
    without: tuple[DebianPackage, ...] = ()
    unpacked: tuple[DebianPackage, ...] = ()
    recipe: Subfolder = "."
    variables: Mapping[VariableName, str] = Field(default_factory=dict)
    time_limit: Seconds = 600.0


class Validate(_Part):
    """How the container for validation is started.

    `entrypoint` replaces the image's entry point and its command; an empty one leaves nothing but `command`. Without
    it, `command` replaces the image's command and is given to the image's entry point. Without both it runs what the
    image runs.
    """

    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[EnvironmentName, str] = Field(default_factory=dict)
    time_limit: Seconds = 120.0


TABLES: Mapping[str, type[BaseModel]] = {"image": About, "build": Build, "validate": Validate}
"""The tables of an image.toml."""


class Recipe(_Part):
    """One image. `name` is that of its `folder`."""

    name: str
    folder: Path
    image: About
    build: Build = Build()
    validate_: Validate = Field(default=Validate(), alias="validate")

    @property
    def repository(self) -> str:
        """The image's name without a tag."""
        return f"calvinverse/{self.name}"

    @property
    def packer_folder(self) -> Path:
        """The folder with the Packer recipe."""
        return self.folder / self.build.recipe

    @property
    def packages_lock(self) -> Path:
        """The packages of an image without a parent, as the last build installed them."""
        return self.folder / PACKAGES_LOCK

    @property
    def from_nothing(self) -> bool:
        """Whether it has no parent; then the same inputs make the same image."""
        return self.image.parent is None and self.image.origin is None


def load_recipes(checkout: Path = CHECKOUT) -> dict[str, Recipe]:
    """Every image of the checkout by its name, parents first; folders that no image can be named after are left out.

    Raises InvalidRecipe when a file can't be read, a parent doesn't exist, or parents form a cycle.
    """
    found = {folder.name: _load(folder / FILE) for folder in image_folders(checkout)}
    graph: dict[str, set[str]] = {}
    for recipe in found.values():
        parent = recipe.image.parent
        if parent is not None and parent not in found:
            why = wrong_name(parent) or f"there is no images/{parent}/{FILE}"
            raise InvalidRecipe(f"images/{recipe.name}/{FILE}: `image.parent` names {parent!a}, but {why}.")
        graph[recipe.name] = set() if parent is None else {parent}
    try:
        return {name: found[name] for name in TopologicalSorter(graph).static_order()}
    except CycleError as error:
        raise InvalidRecipe(f"The parents of images form a cycle: {' → '.join(error.args[1])}.") from error


def with_parents(recipes: Mapping[str, Recipe], names: Iterable[str] | None) -> list[Recipe]:
    """The named images (all for None) and their parents, parents first. Raises UnknownImage."""
    wanted: set[str] = set()
    for name in recipes if names is None else names:
        current: str | None = name
        while current is not None and current not in wanted:
            if current not in recipes:
                why = wrong_name(current) or f"There is no image {current!r}"
                raise UnknownImage(f"{why}; there are {', '.join(sorted(recipes))}.")
            wanted.add(current)
            current = recipes[current].image.parent
    return [recipe for name, recipe in recipes.items() if name in wanted]


def _load(file: Path) -> Recipe:
    shown = f"images/{file.parent.name}/{FILE}"
    content = read_toml(file, shown)
    wrong = [unknown([key], TABLES) for key in content if key not in TABLES]
    try:
        known = {key: value for key, value in content.items() if key in TABLES}
        recipe = Recipe.model_validate({**known, "name": file.parent.name, "folder": file.parent})
    except ValidationError as error:
        raise _invalid(shown, [*wrong, *faults(error, TABLES)]) from error
    if wrong:
        raise _invalid(shown, wrong)
    return recipe


def _invalid(shown: str, wrong: Iterable[str]) -> InvalidRecipe:
    return InvalidRecipe("\n".join(f"{shown}: {sentence}" for sentence in wrong))
