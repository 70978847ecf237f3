"""The builds of images by channel, the tags of channels, and which builds may be deployed."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from environments.domain.suggesting import told
from images.catalogue.journal import Channel, Entry, Journal, JournalEvent
from images.catalogue.packages import Package, from_text
from images.catalogue.records import PACKAGES, BuildRecord, Records, recorded_images
from images.docker import Docker
from images.errors import ImageNotBuilt, ImageRecordUnreadable, UnknownBuild
from images.names import image_folders
from images.places import CHECKOUT, state_folder, whoami


@dataclass(frozen=True)
class Deployable:
    """An image that may be deployed: `reference` is its id in the engine, which never names another image."""

    name: str
    reference: str
    channel: Channel
    key: str
    build: str


def recipe_names(checkout: Path = CHECKOUT) -> list[str]:
    """The images that folders of images/ define, built or not."""
    return [folder.name for folder in image_folders(checkout)]


def _not_built(name: str) -> ImageNotBuilt:
    return ImageNotBuilt(f"The image {name} has not been built yet.", hint=f"Make it with `doit build:{name}`.")


@dataclass(frozen=True)
class Catalogue:
    """The records of one state folder, and the engine that has their images."""

    state: Path = field(default_factory=state_folder)
    docker: Docker = field(default_factory=Docker)

    def names(self) -> list[str]:
        """Every image that has a record."""
        return recorded_images(self.state)

    def check_known(self, name: str) -> None:
        """Raises UnknownBuild for an image without records and without a folder of images/."""
        known = {*self.names(), *recipe_names()}
        if name not in known:
            raise UnknownBuild(told(f"There is no image {name!r}.", name, sorted(known)))

    def records(self, name: str) -> Records:
        """The records of an image."""
        return Records(self.state, name)

    def journal(self, name: str) -> Journal:
        """The journal of an image's builds."""
        return Journal(self.records(name).folder)

    def at(self, name: str, channel: Channel) -> BuildRecord | None:
        """The record of the build in a channel; None if there is none, or it can't be read."""
        build = self.journal(name).at(channel)
        return self.records(name).find(build) if build else None

    def present(self, name: str, channel: Channel = Channel.QA) -> BuildRecord:
        """The build in a channel, whose image is in the engine. Raises ImageNotBuilt."""
        record = self.at(name, channel)
        if record is None:
            if channel is Channel.PRODUCTION:
                raise ImageNotBuilt(
                    f"The image {name} has not been promoted to production yet.",
                    hint=f"Promote it with `doit promote:{name}`.",
                )
            self.check_known(name)
            raise _not_built(name)
        if not self.has_image(record):
            raise ImageNotBuilt(f"The image {record.reference} is no longer in the Docker engine.")
        return record

    def has_image(self, record: BuildRecord) -> bool:
        """Whether the engine has the image of a build."""
        return bool(record.image_id) and bool(self.docker.image_ids([record.image_id]))

    def deployable(self, name: str, channel: Channel = Channel.QA, pushed: str = "") -> Deployable:
        """The image to deploy: with its id in the engine, or with the reference as which it was `pushed`.

        Raises ImageNotBuilt unless the image is validated and exists, and UnknownBuild if no build was
        pushed as that reference.
        """
        if pushed:
            return self._deployable_from_registry(name, channel, pushed)
        record = self.present(name, channel)
        if not record.usable:
            raise ImageNotBuilt(f"The build {record.build} of {name} isn't validated.")
        return Deployable(name, record.image_id, channel, record.key, record.build)

    def _deployable_from_registry(self, name: str, channel: Channel, pushed: str) -> Deployable:
        for entry in self.journal(name).entries():
            record = self.records(name).find(entry.build)
            if f"{entry.repository}@{entry.digest}" == pushed and record is not None and record.usable:
                return Deployable(name, pushed, channel, record.key, record.build)
        raise UnknownBuild(
            f"No validated build of {name} was pushed as {pushed}.",
            hint=f"`calvinverse image show {name}` lists where builds were pushed to.",
        )

    def packages(self, record: BuildRecord) -> tuple[Package, ...]:
        """The packages in the image of a build. Raises ImageRecordUnreadable."""
        try:
            return from_text((record.folder / PACKAGES).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ImageRecordUnreadable(f"The packages of {record.build} aren't recorded: {error}.") from error

    def deployables(self, channel: Channel = Channel.QA, checkout: Path = CHECKOUT) -> list[Deployable]:
        """The image to deploy of every recipe that has a build in the channel and in the engine."""
        names = recipe_names(checkout)
        there = [name for name in names if (record := self.at(name, channel)) and self.has_image(record)]
        return [self.deployable(name, channel) for name in there]

    def move(self, record: BuildRecord, channel: Channel, what: JournalEvent) -> None:
        """Moves the tag of a channel to a build and records that."""
        self.docker.tag(record.image_id, f"calvinverse/{record.image}:{channel}")
        if self.journal(record.image).at(channel) != record.build:
            self.note(record, what, channel=channel)

    def note(
        self,
        record: BuildRecord,
        what: JournalEvent,
        *,
        channel: Channel | None = None,
        repository: str = "",
        digest: str = "",
    ) -> None:
        """Adds a line to the journal of a build's image."""
        entry = Entry(
            at=datetime.now(UTC),
            by=whoami(),
            what=what,
            build=record.build,
            channel=channel,
            repository=repository,
            digest=digest,
        )
        self.journal(record.image).add(entry)

    def find(self, name: str, which: str) -> BuildRecord:
        """A build by channel, id, beginning of its key or image id, or `~N`: N validated builds before the last one.

        Raises UnknownBuild, which names the builds, and ImageNotBuilt for an image that has never been built here.
        """
        if which in tuple(Channel) and (record := self.at(name, Channel(which))) is not None:
            return record
        found = self.records(name).all()
        if match := re.fullmatch(r"~(\d+)", which):
            usable = [record for record in found if record.usable]
            if int(match[1]) < len(usable):
                return usable[int(match[1])]
        digest = which.removeprefix("sha256:")
        fits = [
            record
            for record in found
            if which == record.build
            or (len(digest) >= 6 and (record.key.startswith(digest) or record.image_id.startswith(f"sha256:{digest}")))
        ]
        if fits:
            return next((record for record in fits if record.usable), fits[0])
        if which.startswith("~") and any(record.usable for record in found):
            raise UnknownBuild(
                f"There are fewer validated builds of {name}.", hint=f"`calvinverse image show {name}` lists them."
            )
        self.check_known(name)
        if not found:
            raise _not_built(name)
        raise UnknownBuild(f"The image {name} has no build {which!r}.", hint=f"See `calvinverse image show {name}`.")
