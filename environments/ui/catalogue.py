"""Templates: what there is, what each takes and makes, its files, who may create from it, and what was made."""

from collections.abc import Iterator, Mapping

from starlette.responses import Response

from environments.client import Filters
from environments.domain.errors import InvalidInput, NotFound, UnknownTemplate
from environments.schemas.typed import types_of
from environments.template_words import costs, makes, takes
from environments.ui.answers import go
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.deleted_versions import told_if_deleted
from environments.ui.documents import is_document, rendered
from environments.ui.listing import (
    Button,
    Cell,
    Code,
    Column,
    Document,
    Facts,
    Link,
    Section,
    Table,
    Text,
    admins_only,
    table,
    to_environment,
    told,
)
from environments.ui.making_basics import lifetimes
from environments.ui.template_versions import difference_table, version_columns, versions_path
from environments.ui.visit import Visit
from environments.wire.access import CreatorRequest
from environments.wire.templates import TemplateView
from environments.words import STATES, one_line, shown

_FEW = 10
"""Versions, and environments, that the page of a template lists."""

_LARGEST_FILE = 200_000
"""Characters of a file that are shown."""

_TEMPLATES: tuple[Column[TemplateView], ...] = (
    Column("Name", lambda one: Link(one.name, f"/templates/{one.name}")),
    Column("Version", lambda one: one.version),
    Column("What it is", lambda one: one.description),
    Column("Makes", makes),
    Column("Takes", takes),
    Column("Costs", costs),
    Column("Pushed", lambda one: one.pushed_at),
    Column("You may create", lambda one: "no" if one.creation and not one.creation.allowed else "yes"),
)


def templates(visit: Visit) -> Response:
    """The newest version of each."""
    found = visit.client.templates()
    return told(
        visit,
        "Templates",
        [table(_TEMPLATES, found, "There are no templates. An admin adds one: calvinverse template push FOLDER.")],
        intro="Environments are made from templates.",
        buttons=[Button("Create an environment", "/environments/new")],
    )


def template(visit: Visit) -> Response:
    """One version; the newest unless the address names another one."""
    one = _template(visit)
    path = f"/templates/{one.name}"
    sections: list[Section] = [_facts(one), _steps(one), _parameters(one)]
    if one.outputs:
        outputs: list[list[Cell]] = [[name, said] for name, said in one.outputs.items()]
        sections.append(Table(["Output", "What it is"], outputs, "", "Outputs"))
    sections += [_files(visit, one), *_creators(one), *_versions(visit, one), _made(visit, one.name)]
    return told(
        visit,
        f"{one.name} {one_line(one.version)}",
        sections,
        intro=one.description,
        up=Link("Templates", "/templates"),
        buttons=_buttons(visit, one, path),
    )


def file(visit: Visit) -> Response:
    """A file of a template: a document as one reads it, all else as text, whatever is in it. Raises `NotFound`."""
    name, wanted, digest = visit.params["name"], visit.asked("file"), visit.asked("digest") or None
    files = visit.client.bundle(name, digest).files
    content = files.get(wanted)
    if content is None:
        raise NotFound(f"Template {name!r} has no such file.", hint="Choose one from its list.")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = f"{len(content)} bytes that are no text."
    document = is_document(wanted, text)
    as_text = bool(visit.asked("text"))
    other = Button("As a document", visit.link(text=None)) if as_text else Button("As text", visit.link(text=1))
    if document and not as_text:
        return told(
            visit,
            wanted,
            [Document(rendered(text, wanted, lambda path: _address(visit, name, digest, files, path), below=1))],
            up=Link(name, visit.link(f"/templates/{name}", digest=digest)),
            buttons=[other],
        )
    shortened = f"{text[:_LARGEST_FILE]}\n… and {len(text) - _LARGEST_FILE} characters more"
    return told(
        visit,
        wanted,
        [Text(text if len(text) <= _LARGEST_FILE else shortened)],
        up=Link(name, visit.link(f"/templates/{name}", digest=digest)),
        buttons=[other] if document else (),
    )


def _address(visit: Visit, name: str, digest: str | None, files: Mapping[str, bytes], path: str) -> str | None:
    """That of the page of a file; None: there is no such file."""
    return visit.link(f"/templates/{name}/file", file=path, digest=digest) if path in files else None


# --- parts of the page of a template ---------------------------------------------------------------------------------


def _template(visit: Visit) -> TemplateView:
    return visit.client.template(visit.params["name"], visit.asked("digest") or None)


def _facts(one: TemplateView) -> Facts:
    source = one.source
    creation = one.creation
    have = "" if creation is None or creation.most is None else f"{creation.have} of {creation.most}"
    return Facts(
        [
            ("Version", one.version),
            ("Content", Code(one.digest)),
            ("Makes", makes(one)),
            ("Takes", takes(one)),
            ("Costs", costs(one)),
            ("Lives", lifetimes(one)),
            ("Pushed by", one.pushed_by),
            ("Pushed", one.pushed_at),
            ("From", "" if source is None else f"{source.url} at {source.ref} ({source.commit[:12]})"),
            ("Network", "that of its node" if one.network == "host" else ""),
            ("Mounts of its node", ", ".join(one.host_volumes)),
            ("You may create", "" if creation is None else ("yes" if creation.allowed else creation.why_not)),
            ("You have", have),
        ]
    )


def _steps(one: TemplateView) -> Table:
    rows: list[list[Cell]] = [[step.name, Code(step.uses), ", ".join(step.needs)] for step in one.steps]
    return Table(["Step", "Kind", "After"], rows, "It has no steps.", "Steps")


def _parameters(one: TemplateView) -> Table:
    required = one.parameters_schema.get("required", [])
    rows: list[list[Cell]] = []
    for name, schema in one.parameters_schema.get("properties", {}).items():
        if not isinstance(schema, dict):
            continue
        secret = schema.get("writeOnly") is True
        default = "" if secret or "default" not in schema else shown(schema["default"])
        kind = " or ".join(types_of(schema)) if "type" in schema else "one of a few" if "enum" in schema else "any"
        rows.append(
            [
                name,
                f"{kind}, secret" if secret else kind,
                "needed" if name in required else "",
                Code(default) if default else None,
                str(schema.get("description", schema.get("title", ""))),
            ]
        )
    return Table(["Parameter", "Type", "Needed", "Default", "What it is"], rows, "It takes none.", "Parameters")


def _files(visit: Visit, one: TemplateView) -> Table:
    found = visit.client.bundle(one.name, one.digest).files
    rows: list[list[Cell]] = [
        [Link(path, visit.link(f"/templates/{one.name}/file", file=path, digest=one.digest)), f"{len(content)} bytes"]
        for path, content in sorted(found.items())
    ]
    return Table(["File", "Size"], rows, "It has no files.", "Files")


def _creators(one: TemplateView) -> Iterator[Table]:
    rules = one.creation.creators if one.creation else None
    if rules is not None:
        rows: list[list[Cell]] = [
            [rule.subject, "any number" if rule.most is None else str(rule.most), rule.by, rule.at] for rule in rules
        ]
        yield Table(["Who", "How many each", "By", "Since"], rows, "Everybody may create from it.", "Who may create")


def _versions(visit: Visit, one: TemplateView) -> Iterator[Table]:
    """The newest versions, and what another version than the newest lacks."""
    found, _ = visit.client.template_versions(one.name, limit=_FEW)
    more = Link("All versions, and what each changed", versions_path(one.name))
    yield table(version_columns(visit, one.name), found, "", "Newest versions", more)
    if found[0].digest != one.digest:
        newest = visit.client.template(one.name)
        yield difference_table(one, newest, f"What the newest version, {newest.version}, changes")


def _made(visit: Visit, name: str) -> Table:
    """The newest ones; the overview has them all."""
    which = Filters(template=name)
    count = sum(visit.client.overview(which).states.values())
    made, _ = visit.client.environments_page(which, limit=_FEW)
    rows: list[list[Cell]] = [
        [to_environment(view.name), STATES[view.state], view.owner, view.template_version] for view in made
    ]
    more = Link(f"All {count} in the overview", visit.link("/", template=name)) if count else None
    titles = ["Name", "State", "Owner", "Version"]
    return Table(titles, rows, "None that you may see.", "Environments made from it", more)


def _buttons(visit: Visit, one: TemplateView, path: str) -> list[Button]:
    why_not = one.creation.why_not if one.creation and not one.creation.allowed else ""
    admins = admins_only(visit)
    return [
        Button("Create an environment", visit.link("/environments/new", template=one.name), why_not),
        Button("Let somebody create", f"{path}/creators/set", admins),
        Button("Remove a rule about creating", f"{path}/creators/remove", admins),
        Button("Delete", visit.link(f"{path}/delete", digest=visit.asked("digest") or None), admins, danger=True),
    ]


# --- what admins do --------------------------------------------------------------------------------------------------


def _set_creator(visit: Visit) -> Ask:
    one = _template(visit)
    return Ask(
        "template.set_creator",
        f"Let somebody create from {one.name}",
        ["Once there is such a rule, only admins and those whom a rule names may create from it."],
        f"/templates/{one.name}",
        [
            Field("subject", "Who", help="A user name, group:NAME, or everyone.", required=True),
            Field("most", "How many each may have at once", "number", help="Empty: any number."),
        ],
    )


def _do_set_creator(visit: Visit) -> None:
    most = visit.typed("most").strip()
    if most and not (most.isascii() and most.isdecimal() and len(most) < 10):
        raise InvalidInput("How many each may have is a whole number.", hint="Leave it empty for any number.")
    request = CreatorRequest(subject=visit.typed("subject").strip(), most=int(most) if most else None)
    visit.client.set_creator(visit.params["name"], request)


def _remove_creator(visit: Visit) -> Ask:
    one = _template(visit)
    rules = (one.creation.creators if one.creation else None) or ()
    options = [(rule.subject, rule.subject) for rule in rules]
    return Ask(
        "template.remove_creator",
        f"Remove a rule about creating from {one.name}",
        ["Without any rule everybody may create from it."],
        f"/templates/{one.name}",
        [Field("subject", "Whose", "choice", options=options, required=True)],
        refused="" if options else "There is no such rule.",
    )


def _do_remove_creator(visit: Visit) -> None:
    visit.client.remove_creator(visit.params["name"], visit.typed("subject"))


def _delete(visit: Visit) -> Ask:
    one = _template(visit)
    digest = visit.asked("digest")
    what = f"version {one_line(one.version)} of {one.name}" if digest else one.name
    return Ask(
        "template.delete",
        f"Delete {what}",
        [
            "New environments can't be made from it any more. What destroying and rolling back need is kept.",
            "It is refused while an environment uses it.",
        ],
        f"/templates/{one.name}",
        [Field("name", "The template's name", typed=one.name)],
        danger=True,
    )


def _do_delete(visit: Visit) -> Response:
    name = visit.params["name"]
    visit.client.delete_template(name, visit.asked("digest") or None)
    try:
        visit.client.template(name)
    except UnknownTemplate:
        return go("/templates?done=template.delete")
    return go(f"/templates/{name}?done=template.delete")


PAGES = (
    ("GET", "/templates", templates),
    ("GET", "/templates/{name}", told_if_deleted(template)),
    ("GET", "/templates/{name}/file", told_if_deleted(file)),
    *pages_of("/templates/{name}/creators/set", _set_creator, _do_set_creator),
    *pages_of("/templates/{name}/creators/remove", _remove_creator, _do_remove_creator),
    *pages_of("/templates/{name}/delete", _delete, _do_delete),
)
