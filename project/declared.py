"""What pyproject.toml declares: the version, what the wheel needs, its extras, and the dependency groups (PEP 735)."""

import tomllib
from dataclasses import dataclass
from typing import Any

from images.places import CHECKOUT

GROUP = "dev"
"""The dependency group of a checkout: it includes all others."""


@dataclass(frozen=True)
class Declared:
    """The project's table in pyproject.toml, as far as locks and releases need it. Requirements are as in PEP 508."""

    name: str
    version: str
    requires_python: str
    dependencies: tuple[str, ...]
    extras: dict[str, tuple[str, ...]]
    groups: dict[str, tuple[str, ...]]


def read_declared() -> Declared:
    """Read pyproject.toml of the checkout."""
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        document = tomllib.load(file)
    project, groups = document["project"], document["dependency-groups"]
    return Declared(
        project["name"],
        project["version"],
        project["requires-python"],
        tuple(project["dependencies"]),
        {name: tuple(requirements) for name, requirements in project["optional-dependencies"].items()},
        {name: tuple(dict.fromkeys(expand(groups, name))) for name in groups},
    )


def expand(groups: dict[str, list[Any]], name: str, above: tuple[str, ...] = ()) -> list[str]:
    """The requirements of a group with those of the groups that it includes.

    Raises ValueError when a group includes itself.
    """
    if name in above:
        raise ValueError(f"dependency group {name} includes itself")
    requirements: list[str] = []
    for entry in groups[name]:
        requirements += [entry] if isinstance(entry, str) else expand(groups, entry["include-group"], (*above, name))
    return requirements
