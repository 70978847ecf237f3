"""Images as tables and lists of lines."""

import json
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from environments.cli.tables import pairs, section, table
from environments.moments import moment
from environments.words import clean
from images.catalogue.channels import Catalogue
from images.catalogue.difference import Change, Difference
from images.catalogue.journal import Channel, JournalEvent
from images.catalogue.packages import Package
from images.catalogue.records import PROVENANCE, BuildRecord
from images.report import duration, size

SHORT = 12
SHOWN = 40
"""Lines of a long list that are shown."""


def rows_of_images(catalogue: Catalogue, zone: tzinfo) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Head and rows of `image list`: one row per image."""
    rows: list[Sequence[str]] = []
    for name in catalogue.names():
        good, production = catalogue.at(name, Channel.QA), catalogue.at(name, Channel.PRODUCTION)
        if good is None:
            rows.append((name, "-", "-", "-", "-", "no good build"))
            continue
        rows.append(
            (
                name,
                good.key[:SHORT],
                production.key[:SHORT] if production else "-",
                size(good.size),
                moment(good.started, zone),
                "here" if catalogue.has_image(good) else "not in the engine",
            )
        )
    return ("IMAGE", "QA", "PRODUCTION", "SIZE", "MADE", "IMAGE IS"), rows


def details(catalogue: Catalogue, record: BuildRecord, zone: tzinfo) -> Iterator[str]:
    """All facts about one build."""
    journal = catalogue.journal(record.image)
    channels = ", ".join(channel for channel in Channel if journal.at(channel) == record.build)
    parent = next((name for name in record.inputs if name.startswith(("parent:", "from:"))), "")
    validation = record.validation
    proof = (
        f"{validation.passed} tests passed, {moment(validation.at, zone)}, by {validation.by or 'somebody unknown'}"
        if validation
        else "not validated"
    )
    commit = record.commit[:SHORT] + (" with uncommitted inputs" if record.dirty else "") if record.commit else "no git"
    packages = catalogue.packages(record) if record.validation else ()
    yield from pairs(
        (
            ("image", record.image),
            ("build", record.build),
            ("status", record.status + (f": {record.error}" if record.error else "")),
            ("channels", channels),
            ("reference", record.reference),
            ("image id", record.image_id),
            ("in the engine", "yes" if record.image_id and catalogue.has_image(record) else "no"),
            ("pushed as", "\n".join(f"{entry.repository}@{entry.digest}" for entry in journal.pushes(record.build))),
            ("key", record.key),
            ("starts from", f"{parent.partition(':')[2]} {record.parent_id}" if parent else ""),
            ("size", size(record.size) if record.size else ""),
            ("made", f"{moment(record.started, zone)} by {record.by or 'somebody unknown'}"),
            ("made elsewhere", record.origin),
            ("commit", commit),
            ("took", ", ".join(f"{part} {duration(taken)}" for part, taken in record.seconds.items())),
            ("tools", ", ".join(f"{name} {version}" for name, version in record.tools.items())),
            ("validation", proof),
            ("packages", _counts(packages)),
            ("provenance", _provenance(record)),
            ("record", str(record.folder)),
            ("log", str(record.log)),
        )
    )


def history(catalogue: Catalogue, name: str, zone: tzinfo) -> Iterator[str]:
    """Every build of an image, and its journal."""
    rows = [
        (
            record.build,
            record.status,
            record.key[:SHORT],
            size(record.size) if record.size else "-",
            duration(sum(record.seconds.values())),
        )
        for record in catalogue.records(name).all()[:SHOWN]
    ]
    yield from section("Builds", table(("BUILD", "STATUS", "KEY", "SIZE", "TOOK"), rows))
    words = {
        JournalEvent.MOVED: "moved to",
        JournalEvent.UNDONE: "taken back from",
        JournalEvent.PUSHED: "pushed",
        JournalEvent.REMOVED: "removed from the engine",
    }
    happened = [
        (moment(entry.at, zone), words[entry.what], entry.channel or entry.repository or "-", entry.build, entry.by)
        for entry in catalogue.journal(name).entries()[-SHOWN:]
    ]
    yield from section("Journal", table(("WHEN", "WHAT", "WHERE", "BUILD", "BY"), happened))


def differences(old: BuildRecord, new: BuildRecord, packages: Difference, inputs: Sequence[str]) -> Iterator[str]:
    """The differences between two builds: packages, inputs, size."""
    yield f"{old.build} → {new.build}"
    if old.image_id == new.image_id:
        yield "It is the same image."
    elif new.size != old.size:
        sign = "+" if new.size > old.size else "-"
        yield f"size {sign}{size(abs(new.size - old.size))}"
    yield from section("Added", (_package(each) for each in packages.added))
    yield from section("Removed", (_package(each) for each in packages.removed))
    yield from section("Upgraded", (_change(each) for each in packages.upgraded))
    yield from section("Downgraded", (_change(each) for each in packages.downgraded))
    yield from section("Changed", (_change(each) for each in packages.changed))
    if not packages:
        yield "No package differs."
    shown = [clean(name) for name in inputs[:SHOWN]]
    more = [f"and {len(inputs) - SHOWN} more"] if len(inputs) > SHOWN else []
    yield from section("Inputs that differ", [*shown, *more])


def _package(package: Package) -> str:
    return clean(f"{package.kind} {package.name} {package.version} {package.architecture}".rstrip())


def _change(change: Change) -> str:
    return clean(f"{change.after.kind} {change.after.name} {change.before.version} → {change.after.version}")


def _provenance(record: BuildRecord) -> str:
    """Whether it claims to be signed; only verifying tells whether the signature is valid."""
    try:
        signatures = json.loads((record.folder / PROVENANCE).read_text(encoding="utf-8"))["signatures"]
    except (OSError, ValueError, LookupError, TypeError):
        return "none"
    return f"signed; check it with `calvinverse image verify {record.image}`" if signatures else "not signed"


def _counts(packages: Sequence[Package]) -> str:
    debian = sum(package.kind == "deb" for package in packages)
    return f"{debian} of Debian, {len(packages) - debian} of Python" if packages else ""
