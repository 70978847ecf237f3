"""`calvinverse template`: commands for templates."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.options import Yes
from environments.cli.session import Session, command
from environments.cli.starters import STARTERS, starter_files
from environments.cli.template_details import details, lifetime, origin

if TYPE_CHECKING:
    from environments.domain.errors import InvalidTemplate
    from environments.domain.faults import Fault
    from environments.domain.template import Bundle
    from environments.wire.templates import TemplateView

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder with template.toml.")]


@command("template", "list", examples="calvinverse template list")
def list_templates(session: Session) -> None:
    from environments.cli.tables import table

    found = session.client.templates()
    rows = (
        (view.name, view.version, lifetime(view.default_lifetime), origin(view) or "-", view.description)
        for view in found
    )
    session.show(found, lambda: table(("NAME", "VERSION", "LIFETIME", "FROM GIT", "DESCRIPTION"), rows))
    if not found and not session.json:
        session.say(
            "There are no templates. Write one: `calvinverse template new DIR`, then `calvinverse template push`."
        )


@command("template", "show", examples="calvinverse template show web")
def show(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `calvinverse template list` shows it.")],
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="sha256:…", help="A version; default: the newest.")
    ] = None,
) -> None:
    view = session.client.template(name, digest)
    session.show(view, lambda: details(view, session))
    if not session.json and (view.creation is None or view.creation.allowed):
        session.say(f"Next: `calvinverse env create NAME --template {view.name}`.")


@command(
    "template",
    "validate",
    more="""
        Every fault is told, with its file, its line and what was probably meant. The service checks all of it, for
        admins only; without it, only what template.toml itself says and the schemas of parameters are checked.
        Nothing is stored.
    """,
    examples="calvinverse template validate ./web",
)
def validate(session: Session, folder: Folder) -> None:
    from environments.client import read_bundle
    from environments.domain.errors import Forbidden, InvalidTemplate, ServiceUnavailable, Unauthenticated
    from environments.wire.templates import Validation

    bundle = read_bundle(folder)
    unasked = ""
    try:
        found = session.client.validate(bundle)
    except (ServiceUnavailable, Unauthenticated, Forbidden) as error:
        unasked = error.message
        why = "it checks for admins only" if isinstance(error, Forbidden) else "the service was not asked"
        warning = f"job files, modules, expressions and step kinds were not checked: {why}"
        found = Validation.of(_offline(bundle), [warning])
    lines = [*(f"✗ {problem}" for problem in found.problems), *(f"! {warning}" for warning in found.warnings)]
    session.show(found, lambda: lines)
    if found.problems:
        faults = "a fault" if len(found.problems) == 1 else f"{len(found.problems)} faults"
        raise InvalidTemplate(f"The template in {folder} has {faults}.", hint="Fix what is listed, and check again.")
    if unasked:
        session.say(f"As far as it can be checked here, the template is valid. {unasked}")
    else:
        session.say(f"The template {bundle.template().name!r} is valid. Next: `calvinverse template push {folder}`.")


@command(
    "template",
    "new",
    more=f"""
        Copies a starter: a template that works as it is, with comments that explain it. There are these starters.
        {"; ".join(f"{starter}: {what}" for starter, what in STARTERS.items())}.
    """,
    examples="""
        calvinverse template new ./site
        calvinverse template new ./site --name shop
        calvinverse template new ./shop --from stack
    """,
)
def new(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is empty or doesn't exist.")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Its name; default: the folder's.")] = None,
    starter: Annotated[
        str, typer.Option("--from", metavar="STARTER", help=f"The starter to copy: {', '.join(STARTERS)}.")
    ] = next(iter(STARTERS)),
) -> None:
    from environments.domain.errors import InvalidInput
    from environments.domain.names import check_label

    chosen = check_label(name or folder.resolve().name, "a template")
    files = starter_files(starter, chosen)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"{folder} is not empty.", hint="Give a folder that is empty or doesn't exist.")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    paths = [str(folder / file) for file in files]
    session.show({"name": chosen, "files": paths}, lambda: paths)
    session.say(f"Next: `calvinverse template validate {folder}`, then `calvinverse template push {folder}`.")


@command(
    "template",
    "push",
    more="""
        From a folder of this machine, or with --git from a repository: that one is read by the service, with the
        service's rights, and pinned to the commit that was found.
    """,
    examples="""
        calvinverse template push ./web
        calvinverse template push --git https://git.example/team/templates.git --ref v2 --path web
    """,
)
def push(
    session: Session,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The folder with template.toml.")] = None,
    git: Annotated[
        str | None, typer.Option("--git", metavar="URL", help="A git repository instead of a folder.")
    ] = None,
    ref: Annotated[
        str | None, typer.Option("--ref", metavar="REF", help="Tag, branch or commit; default: the default branch.")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", metavar="DIR", help="The template's folder in it; default: its root.")
    ] = None,
) -> None:
    from environments.domain.errors import InvalidInput, InvalidTemplate

    if (folder is None) == (git is None):
        raise InvalidInput("Give either a folder or --git URL.", hint="See `calvinverse template push --help`.")
    for option, given in (("--git", git), ("--ref", ref)):
        if given is not None and not given.strip():
            raise InvalidInput(f"{option} is empty.", hint="Give it a value, or leave it out.")
    if git is None and (ref is not None or path is not None):
        raise InvalidInput("--ref and --path go with --git.", hint="See `calvinverse template push --help`.")
    try:
        view = _from_git(session, git, ref, path) if git is not None else _from_folder(session, folder)
    except InvalidTemplate as error:
        raise _listed(session, error) from error
    session.show(view, lambda: [f"{view.name} {view.version}  {view.digest}{origin(view, '  ')}"])
    session.say(f"Next: `calvinverse env create NAME --template {view.name}`.")


@command(
    "template",
    "delete",
    more="""
        Without --digest every version is deleted. Only a push restores it. A template that comes with the program is
        restored when a newer program brings another version of it.
    """,
    examples="""
        calvinverse template delete shop
        calvinverse template delete shop --yes
        calvinverse template delete shop --digest sha256:…
    """,
)
def delete(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `calvinverse template list` shows it.")],
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="sha256:…", help="Only this version; default: every one.")
    ] = None,
    yes: Yes = False,
) -> None:
    if not yes:
        session.client.template(name, digest)  # report an unknown name before somebody has to type it
    session.confirm(for_command("template", "delete"), name, yes)
    gone = session.client.delete_template(name, digest)
    session.show(gone, lambda: [f"{gone.name}  {one}" for one in gone.digests])
    versions = "1 version" if len(gone.digests) == 1 else f"{len(gone.digests)} versions"
    session.say(f"Deleted: {versions} of the template {name!r}. Next: `calvinverse template list` shows what is left.")


def _listed(session: Session, error: "InvalidTemplate") -> "InvalidTemplate":
    """The error of a template with several faults, one per line."""
    from environments.domain.errors import InvalidTemplate

    problems = error.details.get("problems") or []
    if len(problems) < 2 or session.json:
        return error
    for problem in problems:
        session.say(f"✗ {problem}")
    return InvalidTemplate(f"The template has {len(problems)} faults.", hint=error.hint, details=error.details)


def _from_folder(session: Session, folder: Path | None) -> "TemplateView":
    from environments.client import read_bundle

    assert folder is not None
    return session.client.push(read_bundle(folder))


def _from_git(session: Session, url: str, ref: str | None, path: str | None) -> "TemplateView":
    from environments.wire.templates import GitPushRequest

    return session.client.push_from_git(GitPushRequest(url=url, ref=ref, path=path or ""))


def _offline(bundle: "Bundle") -> "list[Fault]":
    """Checks what can be checked without the service."""
    from environments.domain.faults import Fault
    from environments.domain.flags import flag_fault
    from environments.domain.template import TEMPLATE_FILE, read_template
    from environments.domain.toml_places import TomlPlaces
    from environments.schemas.faults import schema_faults

    text = bundle.text(TEMPLATE_FILE)
    template, found = read_template(text)
    if template is not None:
        places = TomlPlaces(text)
        for name, schema in template.parameters.items():
            found += [fault.at(places) for fault in schema_faults(name, schema)]
            if (taken := flag_fault(name)) is not None:
                found.append(Fault(path=("parameters", name), message=taken).at(places))
    return sorted(found, key=lambda fault: fault.line or 0)
