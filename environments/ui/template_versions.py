"""Versions of a template: who pushed each and when, which were deleted, and what each changed."""

from itertools import pairwise

from starlette.responses import Response

from environments.pages.requests import whole_number
from environments.ui.deleted_versions import told_if_deleted
from environments.ui.file_differences import FileDifference, file_differences, line_differences
from environments.ui.listing import Cell, Code, Column, Link, Section, Table, Text, table, told
from environments.ui.version_differences import differences
from environments.ui.visit import Visit
from environments.wire.templates import TemplateVersionView, TemplateView
from environments.words import Sign, one_line

_PAGE = 50
_DELETED = Sign("✗", "deleted", "bad")

_GONE: tuple[Column[TemplateVersionView], ...] = (
    Column("Version", lambda one: one.version or one.digest[:19]),
    Column("Content", lambda one: Code(one.digest)),
    Column("State", lambda one: _DELETED),
    Column("Deleted", lambda one: one.deleted_at),
    Column("By", lambda one: one.deleted_by),
)


def versions(visit: Visit) -> Response:
    """All that were pushed, newest first; below the newest ones those that were deleted."""
    name = visit.params["name"]
    skip = whole_number(visit.asked("skip")) or 0
    found, further = visit.client.template_versions(name, skip=skip, limit=_PAGE + 1)
    # The last one is only there to tell what the one before it changed.
    listed = found[:-1] if further is not None and len(found) > 1 else found
    before = {(one.digest, one.pushed_at): older.digest for one, older in pairwise(found)}
    changed = Column[TemplateVersionView](
        "What it changed", lambda one: _changed(visit, name, one, before.get((one.digest, one.pushed_at)))
    )
    sections: list[Section] = [table([*version_columns(visit, name), changed], listed, "There are no more.")]
    if not skip:
        gone, more = visit.client.template_versions(name, deleted=True, limit=_PAGE)
        if gone:
            title = "Deleted versions" if more is None else f"The {len(gone)} versions that were deleted last"
            sections.append(table(_GONE, gone, "", title))
    return told(
        visit,
        f"Versions of {name}",
        sections,
        intro="New environments are made from the newest one; an environment keeps its own until it is updated.",
        up=Link(name, visit.link(f"/templates/{name}")),
        more=visit.link(versions_path(name), skip=skip + len(listed)) if further is not None else "",
    )


def version_columns(visit: Visit, name: str) -> list[Column[TemplateVersionView]]:
    """What a list of versions tells of each."""
    path = f"/templates/{name}"
    return [
        Column("Version", lambda one: Link(one.version or one.digest[:19], visit.link(path, digest=one.digest))),
        Column("Content", lambda one: Code(one.digest)),
        Column("Pushed", lambda one: one.pushed_at),
        Column("By", lambda one: one.pushed_by),
        Column("From", lambda one: "" if one.source is None else f"{one.source.ref} ({one.source.commit[:12]})"),
        Column("Environments", lambda one: one.environments),
    ]


def versions_path(name: str) -> str:
    """The address of the list."""
    return f"/templates/{name}/versions"


def _changed(visit: Visit, name: str, one: TemplateVersionView, before: str | None) -> Cell:
    if before is None:
        return "nothing is known before it"
    if before == one.digest:
        return "nothing"
    return Link("show", visit.link(f"/templates/{name}/changes", digest=one.digest, **{"from": before}))


def changes(visit: Visit) -> Response:
    """What a version changed of another one, which the address names: by default of the one that was pushed before."""
    name = visit.params["name"]
    after = visit.client.template(name, visit.asked("digest") or None)
    before = visit.asked("from") or _before(visit, name, after.digest)
    up = Link(f"Versions of {name}", versions_path(name))
    title = f"What {name} {one_line(after.version)} changed"
    if before is None:
        return told(visit, title, [], intro="It is the first version that is known.", up=up)
    sections = _changes(visit, visit.client.template(name, before), after)
    return told(visit, title, sections, intro="Of small text files the lines are compared, too.", up=up)


def _before(visit: Visit, name: str, digest: str) -> str | None:
    """The digest of the version that was pushed before the newest push of another one."""
    found, _ = visit.client.template_versions(name, limit=_PAGE)
    return next((older.digest for one, older in pairwise(found) if one.digest == digest != older.digest), None)


def _changes(visit: Visit, before: TemplateView, after: TemplateView) -> list[Section]:
    old, new = (visit.client.bundle(one.name, one.digest).files for one in (before, after))
    rows: list[list[Cell]] = [
        [
            Link(one.path, _file(visit, one, before, after)),
            one.sign,
            "" if one.before is None else f"{one.before} bytes",
            "" if one.after is None else f"{one.after} bytes",
        ]
        for one in file_differences(old, new)
    ]
    texts = [Text(text, path) for path, text in line_differences(old, new)]
    files = Table(["File", "Change", "Before", "After"], rows, "No file differs.", "Files")
    return [difference_table(before, after, f"Since version {one_line(before.version)}"), files, *texts]


def _file(visit: Visit, one: FileDifference, before: TemplateView, after: TemplateView) -> str:
    """The address of a file as it is, or as it was."""
    there = before if one.after is None else after
    return visit.link(f"/templates/{there.name}/file", file=one.path, digest=there.digest)


def difference_table(before: TemplateView, after: TemplateView, caption: str) -> Table:
    """What differs beside the files."""
    lines: list[list[Cell]] = [[found.sign, found.what, found.how] for found in differences(before, after)]
    return Table(["Change", "Of", "How"], lines, "Parameters, steps and lifetimes are the same.", caption)


PAGES = (
    ("GET", "/templates/{name}/versions", versions),
    ("GET", "/templates/{name}/changes", told_if_deleted(changes)),
)
