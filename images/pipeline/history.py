"""Where an image comes from: the commit of the checkout, and the labels that say so."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from images.commands import output
from images.docker import BUILD_LABEL
from images.pipeline.inputs import VERSION, Inputs
from images.pipeline.recipe import Recipe

KEY_LABEL = "calvinverse.key"
"""Label with the whole key of an image."""

OCI = "org.opencontainers.image"
"""Prefix of the labels that https://github.com/opencontainers/image-spec/blob/main/annotations.md names."""

LIMIT = 20.0


@dataclass(frozen=True)
class Provenance:
    """The commit of a checkout, empty outside of git, and whether some files differ from it."""

    commit: str
    dirty: bool

    @property
    def revision(self) -> str:
        """The commit, with `-dirty` behind it if it doesn't tell all; `unknown` outside of git."""
        return f"{self.commit or 'unknown'}{'-dirty' if self.dirty else ''}"


def provenance(checkout: Path, files: Mapping[str, str]) -> Provenance:
    """The provenance of what is made from these `files` (paths in the checkout)."""
    git = ["git", "-C", str(checkout)]
    commit = (output([*git, "rev-parse", "--verify", "HEAD"], limit=LIMIT) or "").strip()
    if not commit:
        return Provenance("", False)
    changed = (output([*git, "status", "--porcelain", "--untracked-files=all"], limit=LIMIT) or "").splitlines()
    return Provenance(commit, any(line[3:].rpartition(" -> ")[2] in files for line in changed))


def image_labels(
    recipe: Recipe, inputs: Inputs, parent_id: str, build: str, revision: str, started: datetime
) -> dict[str, str]:
    """Labels for an image.

    One that starts from nothing gets only those that its inputs decide, so that it can be reproduced.
    """
    found = {
        f"{OCI}.title": recipe.image.title,
        f"{OCI}.description": recipe.image.description,
        f"{OCI}.version": inputs.entries[VERSION],
        KEY_LABEL: inputs.key,
    }
    if recipe.image.parent is not None:
        found |= {
            f"{OCI}.created": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            f"{OCI}.revision": revision,
            f"{OCI}.base.name": f"calvinverse/{recipe.image.parent}",
            f"{OCI}.base.digest": parent_id,
            BUILD_LABEL: build,
        }
    return found
