"""The arguments of a step of `prepare`."""

from dataclasses import dataclass
from pathlib import Path

from images.pipeline.recipe import Recipe


@dataclass(frozen=True)
class Preparation:
    """A build that is prepared on the host.

    `work` is the folder that the steps fill, `log` gets what their commands say, and `parent` is the id of the image
    that this one starts from, empty for one that starts from nothing.
    """

    recipe: Recipe
    work: Path
    log: Path
    checkout: Path
    parent: str = ""
