"""Builds images whose inputs have changed: builds, validates, records and tags them, parents first.

records = Builder().build(None, console())        # every image
record = Builder().build_one("web", console())     # one, and its parents
"""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from environments.domain.errors import CalvinverseError
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.catalogue.records import BuildRecord, Records, recorded_images, work_name
from images.docker import Docker
from images.errors import CommandFailed, ImageBuildFailed, InvalidRecipe
from images.names import FILE
from images.pipeline import prepare, validation
from images.pipeline.build import Build
from images.pipeline.inputs import Inputs, image_inputs, tool_version
from images.pipeline.orphans import end_orphans
from images.pipeline.packages_lock import PackagesMoved
from images.pipeline.progress import Progress
from images.pipeline.recipe import Recipe, load_recipes, with_parents
from images.places import CHECKOUT, state_folder
from images.report import Report
from images.system import ensure_debian_packages

LAST_SECONDS = 10.0
"""How long Packer may take to end after it was killed."""

RESOLUTIONS = 3
"""How often a build starts over because the packages of the mirror have changed meanwhile."""


def build(names: Sequence[str] | None, report: Report) -> list[BuildRecord]:
    """Builds the named images (all for None) and their parents, if their inputs have changed.

    Returns the record of each, parents first. Raises ImageBuildFailed or ImageValidationFailed, which name the log, and
    ToolsMissing, PackagesMissing, DockerUnavailable, InvalidRecipe, UnknownImage before anything has begun.
    """
    return Builder().build(names, report)


@dataclass
class Builder:
    """Builds the images of one checkout, recorded in one state folder, in one Docker engine.

    `anew`: the named images are built even if they exist. `validates` is for benchmarks: without it,
    images get neither tests nor tags.
    """

    checkout: Path = CHECKOUT
    state: Path = field(default_factory=state_folder)
    docker: Docker = field(default_factory=Docker)
    anew: bool = False
    validates: bool = True
    _made: dict[str, BuildRecord] = field(default_factory=dict)

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """Every recipe, parents first."""
        return load_recipes(self.checkout)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue of built images."""
        return Catalogue(self.state, self.docker)

    def build(self, names: Sequence[str] | None, report: Report) -> list[BuildRecord]:
        """See the function `build`."""
        return list(self.each(names, report))

    def each(self, names: Sequence[str] | None, report: Report) -> Iterator[BuildRecord]:
        """Like `build`, but yields each record as soon as its image is tagged."""
        self.clean_up_killed(report)
        for recipe in with_parents(self.recipes, names):
            named = names is None or recipe.name in names
            yield self._one(recipe, report, anew=self.anew and named)

    def build_one(self, name: str, report: Report) -> BuildRecord:
        """Like `build`, for one image; returns its record."""
        return self.build([name], report)[-1]

    def validate(self, name: str, report: Report) -> BuildRecord:
        """Validates the image that `build` would build now, validated or not; builds missing ones."""
        self.clean_up_killed(report)
        *parents, recipe = with_parents(self.recipes, [name])
        for parent in parents:
            self._one(parent, report)
        before = self.catalogue.at(name, Channel.QA)
        record = self._one(recipe, report)
        if before is None or record.build != before.build:
            return record  # the build has validated it
        return self._make(recipe, self._inputs(recipe), Progress(name, report), again=True)

    def up_to_date(self, name: str) -> bool:
        """Whether the validated image of this name is the one that `build` would build now, and exists."""
        *_, recipe = with_parents(self.recipes, [name])
        if recipe.image.parent is not None and not self.up_to_date(recipe.image.parent):
            return False
        return self._current(recipe, self._inputs(recipe)) is not None

    def good_image(self, name: str) -> BuildRecord:
        """The last validated build of an image. Raises UnknownImage, and ImageNotBuilt if there is none."""
        with_parents(self.recipes, [name])
        return self.catalogue.present(name, Channel.QA)

    def clean_up_killed(self, report: Report) -> None:
        """Removes what builds of any image left that were killed, unless another process builds the image now."""
        for name in recorded_images(self.state):
            records = Records(self.state, name)
            if records.unfinished() is None:
                continue
            progress = Progress(name, report)
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(records.lock(LAST_SECONDS if end_orphans(records.lock_file) else 0.0))
                except ImageBuildFailed:
                    continue  # another process builds it now
                try:
                    self._clean_up_unfinished(records, progress)
                except CalvinverseError as error:
                    progress.say(f"can't clean up now, a later build will: {error.message}")

    def _one(self, recipe: Recipe, report: Report, *, anew: bool = False) -> BuildRecord:
        if recipe.name not in self._made:
            for tool in recipe.build.tools:
                if shutil.which(tool) is None:
                    ensure_debian_packages([tool], report, why=f"the image {recipe.name} is made with {tool}")
            inputs = self._inputs(recipe)
            record = None if anew else self._current(recipe, inputs)
            if record is not None:
                self._tag_again(recipe, record)
            progress = Progress(recipe.name, report)
            self._made[recipe.name] = record or self._make(recipe, inputs, progress, anew=anew)
        return self._made[recipe.name]

    def _inputs(self, recipe: Recipe) -> Inputs:
        parent = self._parent(recipe).image_id if recipe.image.parent is not None else ""
        return image_inputs(recipe, parent, tool_version, self.checkout)

    def _parent(self, recipe: Recipe) -> BuildRecord:
        assert recipe.image.parent is not None
        return self._made.get(recipe.image.parent) or self.good_image(recipe.image.parent)

    def _current(self, recipe: Recipe, inputs: Inputs) -> BuildRecord | None:
        """The record of the build with these inputs, validated with the present tests, if its image exists.

        Tags don't count: other checkouts move them to images of their own.
        """
        record = self.catalogue.at(recipe.name, Channel.QA)
        if record is None or record.key != inputs.key or record.validation is None:
            return None
        proven = record.validation.tests == validation.digest_of_tests(recipe, self.checkout)
        return record if proven and self.catalogue.has_image(record) else None

    def _tag_again(self, recipe: Recipe, record: BuildRecord) -> None:
        """Sets the tags of an image that name nothing any more."""
        tags = (record.own_tag, record.reference, f"{recipe.repository}:{Channel.QA}")
        present = self.docker.image_ids(tags)
        for tag in tags:
            if tag not in present:
                self.docker.tag(record.image_id, tag)

    def _make(
        self, recipe: Recipe, inputs: Inputs, progress: Progress, *, anew: bool = False, again: bool = False
    ) -> BuildRecord:
        """Builds an image under its lock: always if `anew`. With `again` it only validates an existing image."""
        records = Records(self.state, recipe.name)
        began = datetime.now(UTC)
        with records.lock() as lock:
            record = self._current(recipe, inputs)
            if record is not None and not again and (not anew or record.started > began):
                return record  # another process built it meanwhile
            self._clean_up_unfinished(records, progress)
            for _ in range(RESOLUTIONS):
                with contextlib.suppress(PackagesMoved):
                    return self._try(recipe, inputs, records, progress, lock, anew=anew)
                inputs = self._inputs(recipe)
                progress.say(f"the new key is {inputs.tag}")
            return self._try(recipe, inputs, records, progress, lock, anew=anew)

    def _try(
        self, recipe: Recipe, inputs: Inputs, records: Records, progress: Progress, lock: int, *, anew: bool
    ) -> BuildRecord:
        parent = ""
        if recipe.image.parent is not None:
            parent = self._parent(recipe).image_id
        elif recipe.image.origin is not None:
            progress.say(f"fetching {recipe.image.origin}")
            parent = self._pulled(recipe, recipe.image.origin)
        identity = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{inputs.tag}-{secrets.token_hex(2)}"
        made = Build(
            recipe=recipe,
            inputs=inputs,
            parent=parent,
            id=identity,
            work=work_folder(identity),
            catalogue=self.catalogue,
            records=records,
            progress=progress,
            checkout=self.checkout,
            lock=lock,
            anew=anew,
            validates=self.validates,
        )
        return made.run(lambda: self._clean_up(records, identity))

    def _pulled(self, recipe: Recipe, origin: str) -> str:
        """The id of the image of a registry. Raises InvalidRecipe if this engine can't run it."""
        parent = self.docker.pull(origin)
        try:
            self.docker.check_platform(parent)
        except CommandFailed as error:
            raise InvalidRecipe(
                f"images/{recipe.name}/{FILE}: `image.from`: {error.message}",
                hint="Name the digest that the registry has for the engine's platform.",
            ) from error
        return parent

    def _clean_up_unfinished(self, records: Records, progress: Progress) -> None:
        """Removes what a killed build left, under the lock of its image."""
        if (left := records.unfinished()) is None:
            return
        progress.say(f"removing what the interrupted build {left} left")
        if (work := records.unfinished_work()) is not None:
            prepare.remove_work(work)
        self._clean_up(records, left)

    def _clean_up(self, records: Records, build: str) -> None:
        """Removes what a build left outside of its folder, and what only the build needed."""
        self.docker.remove_containers(build)
        self.docker.remove_untagged_of(build)
        prepare.remove_work(work_folder(build))
        records.end()


def work_folder(build: str) -> Path:
    """The temporary folder of a build. It isn't in the state folder, which other users in a chroot can't enter."""
    return Path(tempfile.gettempdir()) / work_name(build)
