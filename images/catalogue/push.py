"""Pushes a build to a registry, where its digest identifies it."""

from images.catalogue.channels import Catalogue
from images.catalogue.journal import JournalEvent
from images.catalogue.records import BuildRecord
from images.errors import ImageNotBuilt


def push(catalogue: Catalogue, record: BuildRecord, registry: str) -> str:
    """Pushes the image of a build to a registry (`host:port`) and returns `repository@sha256:…`.

    Only a validated image is pushed. Raises ImageNotBuilt, CommandFailed.
    """
    if not record.usable or not catalogue.has_image(record):
        raise ImageNotBuilt(f"The build {record.build} of {record.image} has no validated image in the Docker engine.")
    repository = f"{registry}/calvinverse/{record.image}"
    tag = f"{repository}:{record.reference.rpartition(':')[2]}"
    catalogue.docker.tag(record.image_id, tag)
    try:
        digest = catalogue.docker.push(tag)
    finally:
        catalogue.docker.untag(tag)
    catalogue.note(record, JournalEvent.PUSHED, repository=repository, digest=digest)
    return f"{repository}@{digest}"
