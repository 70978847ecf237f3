"""Reads `expected.toml`: what has to become of each template of a folder of cases.

A folder of cases holds `expected.toml`, and the templates beside it or in `templates`. CALVINVERSE_CASES names another
one than this.
"""

import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from environments.client import read_bundle
from environments.domain.template import Bundle, make_bundle

HERE = Path(__file__).parent
VARIABLE = "CALVINVERSE_CASES"


class Ends(StrEnum):
    """What becomes of a template at first."""

    REFUSED = "refused"
    """`template validate` finds fault with it."""
    FAILED = "failed"
    """It is valid, and the create fails, for a reason of the world."""
    READY = "ready"
    """An environment of it gets ready, and lives as it should until it is destroyed."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Part):
    """The one thing that an update changes: parameters, or a text that stands once in a file of the template."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    file: str = ""
    old: str = ""
    new: str = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.parameters) == bool(self.file):
            raise ValueError("a change has either parameters, or file, old and new")
        return self

    def of(self, bundle: Bundle) -> Bundle:
        """The template with the text changed. Raises `ValueError` when the old text doesn't stand there once."""
        if not self.file:
            return bundle
        text = bundle.text(self.file)
        if text.count(self.old) != 1:
            raise ValueError(f"{self.old!r} stands {text.count(self.old)} times in {self.file}, not once")
        return make_bundle({**bundle.files, self.file: text.replace(self.old, self.new).encode()})


class Case(_Part):
    """A line of the table. Each text of `says` must stand in one of the faults, or in the failure with its hint."""

    name: str
    folder: Path
    ends: Ends
    says: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    """Texts of which each must stand in a warning of `template validate`."""
    code: str = ""
    """Of the failure; empty: any."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """What is given on create."""
    change: Change | None = None
    outputs: dict[str, Any] = Field(default_factory=dict)
    """Outputs that it must have once it is ready, among others."""
    awaiting: tuple[str, ...] = ()
    """Steps that wait for promotion after the change."""
    sample: bool = False
    """Whether it is tried with all tests."""
    slow: bool = False
    """Whether it takes minutes: it is begun first."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.ends is Ends.READY) != (self.change is not None):
            raise ValueError("a case that gets ready names a change, others don't")
        if (self.ends is Ends.READY) == bool(self.says):
            raise ValueError("a case that is refused or fails names what is said, others don't")
        return self

    def bundle(self) -> Bundle:
        """The template."""
        return read_bundle(self.folder)


def folder() -> Path:
    """The folder of cases that is tried."""
    return Path(os.environ.get(VARIABLE) or HERE).resolve()


def read(place: Path) -> list[Case]:
    """The cases of a folder. `template` names the folder of the template when that isn't the name of the case.

    Raises `ValueError` that names each template without a line and each line without a template.
    """
    table = place / "expected.toml"
    home = place / "templates" if (place / "templates").is_dir() else place
    lines: dict[str, dict[str, Any]] = tomllib.loads(table.read_text(encoding="utf-8")) if table.is_file() else {}
    cases = []
    used = set()
    for name, line in lines.items():
        template = line.pop("template", name)
        used.add(template)
        cases.append(Case(name=name, folder=home / template, **line))
    there = {path.name for path in home.glob("*") if (path / "template.toml").is_file()}
    faults = [f"the template {name} has no line in {table}" for name in sorted(there - used)]
    faults += [f"the line of {name} in {table} has no template" for name in sorted(used - there)]
    if faults:
        raise ValueError("; ".join(faults))
    return cases
