"""The origin of an image: the commit of the checkout, and the labels that name it."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from images.commands import output
from images.docker import BUILD_LABEL
from images.errors import InvalidRecipe
from images.pipeline.files import file_digests
from images.pipeline.recipe import Recipe

KEY_LABEL = "calvinverse.key"
"""Label with the whole key of an image."""

OCI = "org.opencontainers.image"
"""Prefix of the labels of https://github.com/opencontainers/image-spec/blob/main/annotations.md."""

SOURCE = "source.json"
"""Replaces git's data in a tree that was sent without its history; see `describe`."""

NO_HISTORY = 1735689600
"""2025-01-01: the epoch of a tree without history, unless SOURCE_DATE_EPOCH is set."""

LIMIT = 20.0


@dataclass(frozen=True)
class Origin:
    """The origin of files.

    `commit` is that of the checkout, empty outside of git, and `dirty` says whether some of the files differ from it.
    `touched` is the last commit that touched one of them, and `epoch` its time, in seconds since 1970.
    """

    commit: str
    dirty: bool
    touched: str
    epoch: int

    @property
    def revision(self) -> str:
        """The last commit that changed the files, with `-dirty` if they have uncommitted changes; else `unknown`."""
        return f"{self.touched or 'unknown'}{'-dirty' if self.dirty else ''}"


def origin(checkout: Path, image: str, files: Iterable[str]) -> Origin:
    """The origin of an image's `files` (paths in the checkout). Raises InvalidRecipe for a broken `source.json`."""
    if (sent := _sent(checkout)) is not None:
        return _from_sent(sent, image)
    git = ["git", "-C", str(checkout)]
    commit = (output([*git, "rev-parse", "--verify", "HEAD"], limit=LIMIT) or "").strip()
    if not commit:
        return Origin("", False, "", _given_epoch())
    paths = sorted({path for file in files for path in _tracked(checkout, file)})
    changed = output([*git, "status", "--porcelain", "--untracked-files=all", "--", *paths], limit=LIMIT) or ""
    last = (output([*git, "log", "-1", "--format=%H %ct", "--", *paths], limit=LIMIT) or "").split()
    if len(last) != 2:
        # None of the files is committed.
        last = (output([*git, "log", "-1", "--format=%H %ct"], limit=LIMIT) or "").split()
    touched, epoch = last
    return Origin(commit, bool(changed.strip()), touched, int(epoch))


def _tracked(checkout: Path, file: str) -> Iterator[str]:
    """The paths by which git knows a file: the first link on the way to it, if there is one, and its real path."""
    path = Path(checkout)
    for part in Path(file).parts:
        path /= part
        if path.is_symlink():
            yield path.relative_to(checkout).as_posix()
            yield Path(os.path.realpath(checkout / file)).relative_to(os.path.realpath(checkout)).as_posix()
            return
    yield file


def describe(checkout: Path, recipes: Mapping[str, Recipe]) -> dict[str, Any]:
    """The `source.json` for a checkout that is sent without git, so that the same images are built there."""
    found = {name: origin(checkout, name, file_digests(recipe, checkout)) for name, recipe in recipes.items()}
    return {
        "commit": next((came.commit for came in found.values()), ""),
        "images": {
            name: {"touched": came.touched, "epoch": came.epoch, "dirty": came.dirty} for name, came in found.items()
        },
    }


def image_labels(
    recipe: Recipe, came: Origin, *, source: str, version: str, key: str, parent: str, build: str, started: datetime
) -> dict[str, str]:
    """Labels of an image; `parent` is the id of its parent.

    An image without a parent gets only labels that depend on its inputs, so that it can be reproduced.
    """
    created = datetime.fromtimestamp(came.epoch, UTC) if recipe.from_nothing else started
    found = {
        f"{OCI}.title": recipe.image.title,
        f"{OCI}.description": recipe.image.description,
        f"{OCI}.version": version,
        f"{OCI}.revision": came.revision,
        f"{OCI}.created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{OCI}.source": source,
        KEY_LABEL: key,
    }
    if recipe.from_nothing:
        return found
    name = recipe.image.origin.partition("@")[0] if recipe.image.origin else f"calvinverse/{recipe.image.parent}"
    return found | {f"{OCI}.base.name": name, f"{OCI}.base.digest": parent, BUILD_LABEL: build}


def source_address(project: Mapping[str, Any], image: str) -> str:
    """The address of the sources of an image: the project's `source` address, else its package URL.

    A package URL (https://github.com/package-url/purl-spec) names the project without an address, so it is
    the same in every clone.
    """
    addresses = {re.sub(r"\W", "", name.lower()): str(url) for name, url in (project.get("urls") or {}).items()}
    if address := addresses.get("source") or addresses.get("repository"):
        return address
    return f"pkg:generic/{project.get('name', 'unknown')}@{project['version']}#images/{image}"


def _given_epoch() -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(given) if given.isdigit() else NO_HISTORY


def _sent(checkout: Path) -> dict[str, Any] | None:
    file = checkout / SOURCE
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise InvalidRecipe(f"{file} can't be read: {error}.", hint="Send the sources again.") from error


def _from_sent(sent: Mapping[str, Any], image: str) -> Origin:
    try:
        of = sent["images"].get(image) or {}
        return Origin(
            str(sent.get("commit", "")),
            bool(of.get("dirty")),
            str(of.get("touched", "")),
            int(of.get("epoch", NO_HISTORY)),
        )
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise InvalidRecipe(f"{SOURCE} is not what was sent: {error}.", hint="Send the sources again.") from error
