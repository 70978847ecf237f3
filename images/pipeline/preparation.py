"""The arguments of a step of `prepare`."""

from dataclasses import dataclass
from pathlib import Path

from images.pipeline.recipe import Recipe


@dataclass(frozen=True)
class Preparation:
    """The preparation of a build on the host.

    `work` is the folder that the steps fill, `log` gets the output of their commands, and `parent` is the id of the
    image that this one starts from, empty for an image without a parent.
    """

    recipe: Recipe
    work: Path
    log: Path
    checkout: Path
    parent: str = ""
