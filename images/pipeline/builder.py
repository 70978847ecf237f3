"""Makes images: nothing if nothing changed; otherwise builds, validates, tags and records them, parents first.

records = build(None, console())        # every image
reference = good_reference("web")       # calvinverse/web:<key>, for a job
"""

import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from environments.domain.errors import CalvinverseError
from images import toolchain
from images.catalogue.records import BuildRecord, Records, Validation
from images.docker import BUILDING, Docker
from images.errors import ImageNotBuilt
from images.pipeline import history, packer, prepare, validation
from images.pipeline.inputs import Inputs, all_inputs, tool_version
from images.pipeline.progress import Progress
from images.pipeline.recipe import Recipe, load_recipes, with_parents
from images.places import CHECKOUT, state_folder
from images.report import Report, duration, size
from images.system import ensure_debian_packages

GOOD = "good"
"""The tag that moves to each image that passed its validation."""


def build(names: Sequence[str] | None, report: Report) -> list[BuildRecord]:
    """Makes the named images (all for None) and those that they start from, as far as anything changed.

    Returns the record of each, parents first. Raises ImageBuildFailed or ImageValidationFailed with where the log is;
    ToolsMissing, PackagesMissing, DockerUnavailable, InvalidRecipe, UnknownImage before anything was begun.
    """
    return Builder().build(names, report)


def up_to_date(name: str) -> bool:
    """Whether the good image of this name is what `build` would make now, and is there."""
    return Builder().up_to_date(name)


def good_image(name: str) -> BuildRecord:
    """The last good build of an image. Raises ImageNotBuilt when there is none, or its image is gone."""
    return Builder().good_image(name)


def good_reference(name: str) -> str:
    """What a job names to run this very image: `calvinverse/<name>:<key>`, which never moves. Raises ImageNotBuilt."""
    return good_image(name).reference


def image_names() -> list[str]:
    """The names of all images, parents first."""
    return list(load_recipes())


@dataclass
class Builder:
    """Makes the images of one checkout, recorded in one state folder, in one Docker engine."""

    checkout: Path = CHECKOUT
    state: Path = field(default_factory=state_folder)
    docker: Docker = field(default_factory=Docker)

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """Every recipe, parents first."""
        return load_recipes(self.checkout)

    def build(self, names: Sequence[str] | None, report: Report) -> list[BuildRecord]:
        """See the function `build`."""
        wanted = with_parents(self.recipes, names)
        for recipe in wanted:
            for tool in recipe.build.tools:
                if shutil.which(tool) is None:
                    ensure_debian_packages([tool], report, why=f"the image {recipe.name} is made with {tool}")
        inputs = all_inputs(self.recipes, tool_version, self.checkout)
        present = self._present(wanted, inputs)
        made: list[BuildRecord] = []
        for recipe in wanted:
            record = self._current(recipe, inputs[recipe.name], present)
            if record is None:
                record = self._make(recipe, inputs[recipe.name], Progress(recipe.name, report))
            made.append(record)
        return made

    def up_to_date(self, name: str) -> bool:
        """See the function `up_to_date`."""
        (*_, recipe) = with_parents(self.recipes, [name])
        inputs = all_inputs(self.recipes, tool_version, self.checkout)
        return self._current(recipe, inputs[name], self._present([recipe], inputs)) is not None

    def good_image(self, name: str) -> BuildRecord:
        """See the function `good_image`."""
        with_parents(self.recipes, [name])
        record = Records(self.state, name).good()
        if record is None:
            raise ImageNotBuilt(f"The image {name} has not been built yet.")
        if self.docker.image_ids([record.reference]).get(record.reference) != record.image_id:
            raise ImageNotBuilt(f"The image {record.reference} is no longer in the Docker engine.")
        return record

    def _present(self, recipes: Sequence[Recipe], inputs: Mapping[str, Inputs]) -> dict[str, str]:
        tags = [(recipe.repository, tag) for recipe in recipes for tag in (inputs[recipe.name].tag, GOOD)]
        return self.docker.image_ids([f"{repository}:{tag}" for repository, tag in tags])

    def _current(self, recipe: Recipe, inputs: Inputs, present: Mapping[str, str]) -> BuildRecord | None:
        """The record of the good build with these inputs, validated by today's tests, if both its tags are in place."""
        record = Records(self.state, recipe.name).good()
        if record is None or record.key != inputs.key or record.validation is None:
            return None
        tagged = {present.get(record.reference), present.get(f"{recipe.repository}:{GOOD}")}
        good = tagged == {record.image_id} and record.validation.tests == validation.digest_of_tests(
            recipe, self.checkout
        )
        return record if good else None

    def _make(self, recipe: Recipe, inputs: Inputs, progress: Progress) -> BuildRecord:
        records = Records(self.state, recipe.name)
        with records.lock() as lock:
            present = self._present([recipe], {recipe.name: inputs})
            if (record := self._current(recipe, inputs, present)) is not None:
                # Another builder made it while we waited.
                return record
            self._clean_up(records, records.unfinished(), progress)
            return _Build(self, recipe, inputs, records, progress, lock).run()

    def _clean_up(self, records: Records, build: str | None, progress: Progress | None) -> None:
        """Removes whatever a build left outside of its own folder, and what only helped to make the image."""
        if build is None:
            return
        if progress is not None:
            progress.say(f"removing what the interrupted build {build} left")
        self.docker.remove_containers(build)
        self.docker.remove_untagged_of(build)
        prepare.remove_work(work_folder(build))
        records.end()


def work_folder(build: str) -> Path:
    """Where a build makes what it throws away: not in the state folder, which other users of a chroot can't enter."""
    return Path(tempfile.gettempdir()) / f"calvinverse-{build}"


class _Build:
    """One build of one image, from its inputs to its record. Whatever happens, nothing half made keeps a tag."""

    def __init__(
        self, builder: Builder, recipe: Recipe, inputs: Inputs, records: Records, progress: Progress, lock: int
    ) -> None:
        self._builder = builder
        self._recipe = recipe
        self._inputs = inputs
        self._records = records
        self._progress = progress
        self._lock = lock
        self._started = datetime.now(UTC)
        self._id = f"{self._started:%Y%m%dT%H%M%S}-{inputs.tag}-{secrets.token_hex(2)}"
        self._reference = f"{recipe.repository}:{inputs.tag}"
        self._before = records.good()

    def run(self) -> BuildRecord:
        """Makes, validates, tags and records the image."""
        self._folder = self._records.start(self._id)
        facts: dict[str, Any] = {}
        try:
            found = self._existing()
            self._progress.say(self._why(found))
            if found is not None:
                facts |= self._known(found)
            image_id = found or self._image(facts)
            facts["image_id"] = image_id
            checked = self._validate(image_id)
            facts["validation"] = checked
            facts["size"] = (self._builder.docker.inspect(image_id) or {}).get("Size", 0)
            self._builder.docker.tag(image_id, self._reference)
            self._builder.docker.tag(image_id, f"{self._recipe.repository}:{GOOD}")
        except CalvinverseError as error:
            self._abandon("failed", error.message, facts)
            raise
        except BaseException as error:
            self._abandon("interrupted", f"{type(error).__name__}", facts)
            raise
        record = self._record("good", facts)
        self._records.keep(record)
        self._builder._clean_up(self._records, self._id, None)
        took = duration(sum(record.seconds.values()))
        self._progress.say(f"good: {record.reference}, {size(record.size)}, {checked.passed} tests passed, {took}")
        return record

    def _existing(self) -> str | None:
        """The id of an image that this key has made already: only its validation is missing, or the record is."""
        found = self._builder.docker.inspect(self._reference)
        if found is None or (found["Config"]["Labels"] or {}).get(history.KEY_LABEL) != self._inputs.key:
            return None
        return str(found["Id"])

    def _known(self, image_id: str) -> dict[str, Any]:
        """What the record of an image that is there says about how it was made."""
        before = self._records.good(self._inputs.key)
        if before is None or before.image_id != image_id:
            return {}
        return before.model_dump(include={"made_by", "parent_id", "commit", "dirty"})

    def _why(self, found: str | None) -> str:
        if found is not None:
            return "validating the image that is there"
        if self._before is None:
            return "building for the first time"
        changed = self._inputs.changed_since(self._before.inputs)
        if not changed:
            return "building again, for the image is gone"
        shown = ", ".join(changed[:4]) + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")
        return f"building, for these inputs changed: {shown}"

    def _image(self, facts: dict[str, Any]) -> str:
        """Makes the image and returns its id."""
        builder, recipe, log = self._builder, self._recipe, self._folder / "packer.log"
        work = work_folder(self._id)
        work.mkdir(mode=0o711)
        parent = builder.good_image(recipe.image.parent).image_id if recipe.image.parent else ""
        origin = history.provenance(builder.checkout, self._inputs.entries)
        facts |= {"made_by": self._id, "parent_id": parent, "commit": origin.commit, "dirty": origin.dirty}
        labels = history.image_labels(recipe, self._inputs, parent, self._id, origin.revision, self._started)
        with self._progress.part("prepare"):
            tools = toolchain.require("packer", "packer-plugin-docker")
            command = packer.PackerCommand(tools["packer"], toolchain.packer_environment())
            prepare.prepare(recipe, work, log, builder.checkout, self._progress.step)
        with self._progress.part("build"):
            made = packer.build(
                command,
                recipe.folder,
                {
                    "work": str(work),
                    "python": sys.executable,
                    "parent": parent,
                    "container": f"{BUILDING}{self._id}",
                    "labels": labels,
                },
                work,
                log,
                cwd=builder.checkout,
                limit=recipe.build.time_limit,
                on_step=self._progress.step,
                pass_fds=(self._lock,),
            )
            image_id = made.image_id or builder.docker.load(made.archive or work)
        for name in (packer.MANIFEST, "packages.tsv"):
            if (work / name).is_file():
                shutil.move(work / name, self._folder / name)
        return image_id

    def _validate(self, image_id: str) -> Validation:
        with self._progress.part("validate"):
            builder = self._builder
            return validation.validate(
                self._recipe, image_id, self._id, self._folder, builder.docker, self._progress, builder.checkout
            )

    def _abandon(self, status: str, error: str, facts: dict[str, Any]) -> None:
        """Records a build that came to nothing and removes what it made, without hiding why it is abandoned."""
        try:
            self._records.keep(self._record(status, facts, error))
            self._progress.say(f"{status}; the log is {self._log()}")
            if "image_id" in facts:
                self._builder.docker.remove_untagged(facts["image_id"])
            self._builder._clean_up(self._records, self._id, None)
        except CalvinverseError as later:
            self._progress.say(f"can't clean up now, the next build will: {later.message}")

    def _log(self) -> Path:
        """The log of the part that was reached last."""
        for name in (validation.LOG, "packer.log"):
            if (self._folder / name).exists():
                return self._folder / name
        return self._folder

    def _record(self, status: str, facts: Mapping[str, Any], error: str = "") -> BuildRecord:
        return BuildRecord.model_validate(
            {
                "image": self._recipe.name,
                "build": self._id,
                "status": status,
                "key": self._inputs.key,
                "reference": self._reference,
                "inputs": dict(self._inputs.entries),
                "started": self._started,
                "seconds": self._progress.seconds,
                "log": self._log(),
                "error": error,
                **facts,
            }
        )
