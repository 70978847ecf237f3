"""Removes old images from the engine. Their records stay."""

from collections.abc import Iterable
from dataclasses import dataclass

from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel, JournalEvent
from images.catalogue.records import BuildRecord

REMEMBERED = 2
"""How many builds of production are kept: the present one, and the target of an undo."""


@dataclass(frozen=True)
class Pruned:
    """The removed images, and the old images that were kept, each with the reason."""

    removed: tuple[BuildRecord, ...]
    kept: tuple[tuple[BuildRecord, str], ...]


def prune(catalogue: Catalogue, keep: int, published: Iterable[str] = (), *, dry: bool = False) -> Pruned:
    """Removes all but the newest `keep` images of each name from the engine, but never one in use.

    In use are: the build of a channel, the target of an undo, the image of a container (also of a stopped one), the
    parent of a kept image, and the `published` images (references that a service gives to its deployments). With `dry`
    nothing is removed. Raises DockerUnavailable, CommandFailed.
    """
    there: dict[str, list[BuildRecord]] = {}
    reasons: dict[str, str] = {}
    for name in catalogue.names():
        builds = _distinct(catalogue, name)
        there[name] = builds
        for record in builds[:keep]:
            reasons.setdefault(record.image_id, "it is one of the newest")
        journal = catalogue.journal(name)
        at = {journal.at(Channel.QA): "it is in qa"}
        at |= dict.fromkeys(journal.stack(Channel.PRODUCTION)[-REMEMBERED:], "it is or was in production")
        for build, why in at.items():
            if build and (found := catalogue.records(name).find(build)) is not None:
                reasons[found.image_id] = why
    for image_id in _image_ids(catalogue, published):
        reasons.setdefault(image_id, "a service deploys it")
    for image_id in catalogue.docker.images_of_containers():
        reasons.setdefault(image_id, "a container uses it")
    _keep_parents(there, reasons)
    removed: list[BuildRecord] = []
    kept: list[tuple[BuildRecord, str]] = []
    # Children are removed before their parents.
    for builds in reversed(list(there.values())):
        for position, record in enumerate(builds):
            if record.image_id not in reasons:
                removed.append(record)
            elif position >= keep:
                kept.append((record, reasons[record.image_id]))
    if not dry:
        for record in sorted(removed, key=lambda found: found.started, reverse=True):
            catalogue.docker.remove(record.image_id)
            catalogue.note(record, JournalEvent.REMOVED)
    return Pruned(tuple(removed), tuple(kept))


def _image_ids(catalogue: Catalogue, published: Iterable[str]) -> set[str]:
    """The ids of images from their ids or references."""
    wanted = set(published)
    found = {reference for reference in wanted if "@" not in reference}
    for name in catalogue.names():
        for entry in catalogue.journal(name).entries():
            if f"{entry.repository}@{entry.digest}" in wanted:
                record = catalogue.records(name).find(entry.build)
                found |= {record.image_id} if record is not None else set()
    return found


def _distinct(catalogue: Catalogue, name: str) -> list[BuildRecord]:
    """For each image the builds whose images are in the engine, the newest first."""
    found = [record for record in catalogue.records(name).all() if record.image_id]
    present = catalogue.docker.image_ids(sorted({record.image_id for record in found}))
    seen: set[str] = set()
    builds = []
    for record in found:
        if record.image_id in present and record.image_id not in seen:
            seen.add(record.image_id)
            builds.append(record)
    return builds


def _keep_parents(there: dict[str, list[BuildRecord]], reasons: dict[str, str]) -> None:
    parents = {record.image_id: record.parent_id for builds in there.values() for record in builds}
    for image_id in list(reasons):
        parent = parents.get(image_id, "")
        while parent:
            reasons.setdefault(parent, "another image is made from it")
            parent = parents.get(parent, "")
