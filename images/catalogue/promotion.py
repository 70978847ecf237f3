"""Promotion: moves the channel `production` to a validated build, and back."""

from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel, JournalEvent
from images.catalogue.records import BuildRecord
from images.errors import ImageNotBuilt, NotPromoted


def promote(catalogue: Catalogue, name: str, which: str = Channel.QA) -> BuildRecord:
    """Moves production to a build, by default to the newest validated one. A repeated call changes nothing.

    Raises ImageNotBuilt if there is no such build or its image is missing, NotPromoted if it isn't validated.
    """
    record = catalogue.present(name) if which == Channel.QA else catalogue.find(name, which)
    if not record.usable:
        raise NotPromoted(
            f"The build {record.build} of {name} is {record.status}: only a validated image can be promoted.",
            hint=f"Validate it with `doit validate:{name}`.",
        )
    if not catalogue.has_image(record):
        raise ImageNotBuilt(f"The image {record.reference} is no longer in the Docker engine.")
    catalogue.move(record, Channel.PRODUCTION, JournalEvent.MOVED)
    return record


def undo(catalogue: Catalogue, name: str) -> tuple[BuildRecord, BuildRecord | None]:
    """Undoes the last promotion: returns the build that was in production and the one that is now, if any.

    Raises NotPromoted if nothing is in production, ImageNotBuilt if the previous image is missing; then nothing moves.
    """
    journal = catalogue.journal(name)
    stack = journal.stack(Channel.PRODUCTION)
    if not stack:
        catalogue.check_known(name)
        raise NotPromoted(f"No build of {name} is in production.", hint=f"Promote one with `doit promote:{name}`.")
    records = catalogue.records(name)
    current, before = records.find(stack[-1]), records.find(stack[-2]) if len(stack) > 1 else None
    if current is None or (len(stack) > 1 and before is None):
        lost = stack[-1] if current is None else stack[-2]
        raise ImageNotBuilt(f"The record of the build {lost} of {name} can't be read any more.")
    if before is None:
        catalogue.docker.untag(f"calvinverse/{name}:{Channel.PRODUCTION}")
    elif not catalogue.has_image(before):
        raise ImageNotBuilt(
            f"The image that was in production before, {before.reference}, is no longer in the Docker engine.",
            hint=f"Promote another build: `calvinverse image show {name}` lists them.",
        )
    else:
        catalogue.docker.tag(before.image_id, f"calvinverse/{name}:{Channel.PRODUCTION}")
    catalogue.note(current, JournalEvent.UNDONE, channel=Channel.PRODUCTION)
    return current, before
