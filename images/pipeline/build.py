"""One build of one image, from its inputs to its record. An incomplete image never keeps a tag."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from environments.domain.errors import CalvinverseError
from images import toolchain
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel, JournalEvent
from images.catalogue.packages import Package, to_text
from images.catalogue.records import (
    PACKAGES,
    PACKER_LOG,
    SBOM,
    VALIDATION_LOG,
    BuildRecord,
    Records,
    Status,
    tools_of,
)
from images.docker import BUILDING
from images.interrupts import delaying_exit
from images.pipeline import packer, prepare, validation
from images.pipeline.history import KEY_LABEL, image_labels
from images.pipeline.inputs import SOURCE, VERSION, Inputs
from images.pipeline.packages_lock import PackagesMoved, check_packages
from images.pipeline.progress import Progress
from images.pipeline.recipe import Recipe
from images.places import whoami
from images.report import duration, size


@dataclass
class Build:
    """See the module. `lock` is the file of the image's lock, which Packer inherits; `work` is removed after the build.

    `parent` is the id of the image that it starts from, empty if it has no parent.
    """

    recipe: Recipe
    inputs: Inputs
    parent: str
    id: str
    work: Path
    catalogue: Catalogue
    records: Records
    progress: Progress
    checkout: Path
    lock: int
    anew: bool
    validates: bool
    _started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _facts: dict[str, Any] = field(default_factory=dict)

    def run(self, clean_up: Callable[[], None]) -> BuildRecord:
        """Builds, validates, records and tags the image; `clean_up` removes what only the build needed.

        Raises CalvinverseError when it fails, and PackagesMoved when it must start over with other inputs.
        """
        with delaying_exit():
            self._folder = self.records.start(self.id, self.work)
            try:
                record = self._make()
            except PackagesMoved:
                clean_up()
                shutil.rmtree(self._folder, ignore_errors=True)
                raise
            except CalvinverseError as error:
                self._abandon("failed", error.message, clean_up)
                raise
            except BaseException as error:
                self._abandon("interrupted", type(error).__name__, clean_up)
                raise
            clean_up()
        self._tell(record)
        return record

    def _make(self) -> BuildRecord:
        from images.catalogue.attesting import attest  # slow to import, and not needed if nothing is built

        docker, facts = self.catalogue.docker, self._facts
        found = None if self.anew else self._existing()
        self.progress.say(self._why(found))
        if found is not None:
            facts |= self._known(found)
        facts["image_id"] = image_id = found or self._image()
        facts["size"] = (docker.inspect(image_id) or {}).get("Size", 0)
        if not self.validates:
            return self.records.keep(self._record("unvalidated"))
        with self.progress.part("validate"):
            outcome = validation.validate(
                self.recipe, image_id, self.id, self._folder, docker, self.progress, self.checkout
            )
        facts["validation"] = outcome.validation
        self._describe(image_id, outcome.packages)
        record = self.records.keep(self._record("good"))
        if why := attest(record, self.catalogue.state):
            self.progress.say(why)
        for tag in (record.own_tag, record.reference):
            docker.tag(image_id, tag)
        self.catalogue.move(record, Channel.QA, JournalEvent.MOVED)
        return record

    def _existing(self) -> str | None:
        """The id of an image that was built with this key, of which only validation or record is missing."""
        found = self.catalogue.docker.inspect(self._reference)
        if found is None or (found["Config"]["Labels"] or {}).get(KEY_LABEL) != self.inputs.key:
            return None
        return str(found["Id"])

    def _known(self, image_id: str) -> dict[str, Any]:
        """What the record of an existing image says about its build."""
        before = self.records.with_key(self.inputs.key)
        if before is None or before.image_id != image_id:
            return {}
        return before.model_dump(include={"made_by", "parent_id"})

    def _why(self, found: str | None) -> str:
        if found is not None:
            return "validating the existing image"
        if self.anew:
            return "building again, as requested"
        before = self.catalogue.at(self.recipe.name, Channel.QA)
        if before is None:
            return "building for the first time"
        changed = self.inputs.changed_since(before.inputs)
        if not changed:
            return "building again: the image no longer exists"
        shown = ", ".join(changed[:4]) + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")
        return f"building, because these inputs changed: {shown}"

    def _image(self) -> str:
        """Builds the image and returns its id."""
        recipe, log = self.recipe, self._folder / PACKER_LOG
        self.work.mkdir(mode=0o711)
        self._facts |= {"made_by": self.id, "parent_id": self.parent}
        entries = self.inputs.entries
        labels = image_labels(
            recipe,
            self.inputs.origin,
            source=entries[SOURCE],
            version=entries[VERSION],
            key=self.inputs.key,
            parent=self.parent,
            build=self.id,
            started=self._started,
        )
        with self.progress.part("prepare"):
            tools = toolchain.require("packer", "packer-plugin-docker")
            command = packer.PackerCommand(tools["packer"], toolchain.packer_environment())
            made_ready = prepare.Preparation(recipe, self.work, log, self.checkout, self.parent)
            prepare.prepare(made_ready, self.progress.step)
        with self.progress.part("build"):
            made = packer.build(
                command,
                recipe.packer_folder,
                {
                    **recipe.build.variables,
                    "work": str(self.work),
                    "python": sys.executable,
                    "parent": self.parent,
                    "container": f"{BUILDING}{self.id}",
                    "labels": labels,
                    "source_date_epoch": str(self.inputs.origin.epoch),
                },
                self.work,
                log,
                cwd=self.checkout,
                limit=recipe.build.time_limit,
                on_step=self.progress.step,
                pass_fds=(self.lock,),
            )
            check_packages(recipe, self.work, self.progress)
            image_id = made.image_id or self.catalogue.docker.load(made.archive or self.work)
        if (self.work / packer.MANIFEST).is_file():
            shutil.move(self.work / packer.MANIFEST, self._folder / packer.MANIFEST)
        return image_id

    def _describe(self, image_id: str, packages: tuple[Package, ...]) -> None:
        """Writes the lists of the image's content."""
        from images.catalogue.sbom import cyclonedx  # slow to import, and not needed if nothing is built

        (self._folder / PACKAGES).write_text(to_text(packages), encoding="utf-8")
        tools = tools_of(self.inputs.entries)
        bill = cyclonedx(self.recipe.repository, self._reference, image_id, packages, self._started, tools)
        (self._folder / SBOM).write_text(bill, encoding="utf-8")

    def _abandon(self, status: Status, error: str, clean_up: Callable[[], None]) -> None:
        """Records a failed build and removes the image, without hiding the error."""
        try:
            self.records.keep(self._record(status, error))
            self.progress.say(f"{status}; the log is {self._log()}")
            if "image_id" in self._facts:
                self.catalogue.docker.remove_untagged(self._facts["image_id"])
            clean_up()
        except CalvinverseError as later:
            self.progress.say(f"can't clean up now, the next build will: {later.message}")

    @property
    def _reference(self) -> str:
        return f"{self.recipe.repository}:{self.inputs.tag}"

    def _log(self) -> Path:
        """The log of the last part that has begun."""
        for name in (VALIDATION_LOG, PACKER_LOG):
            if (self._folder / name).exists():
                return self._folder / name
        return self._folder

    def _record(self, status: Status, error: str = "") -> BuildRecord:
        return BuildRecord.model_validate(
            {
                "image": self.recipe.name,
                "build": self.id,
                "status": status,
                "key": self.inputs.key,
                "reference": self._reference,
                "inputs": dict(self.inputs.entries),
                "started": self._started,
                "by": whoami(),
                "seconds": self.progress.seconds,
                "commit": self.inputs.origin.commit,
                "dirty": self.inputs.origin.dirty,
                "log": self._log(),
                "error": error,
                **self._facts,
            }
        )

    def _tell(self, record: BuildRecord) -> None:
        took = duration(sum(record.seconds.values()))
        if record.validation is None:
            self.progress.say(f"built: {record.image_id}, {size(record.size)}, {took}")
        else:
            proof = f"{record.validation.passed} tests passed"
            self.progress.say(f"good: {record.reference}, {size(record.size)}, {proof}, {took}")
