"""Writes the reference from the code: `python -m tests.support.docs_reference`. A test checks that it is current.

Each function gives the text of one page. Nothing depends on the machine, the time or the width of a terminal.
"""

import importlib
import inspect
import pkgutil
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support import docs_access, docs_step_kinds

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "docs" / "reference"
METHODS = ("get", "post", "put", "patch", "delete")
PLACES = ("environments", "images", "jobs")
"""Packages that define errors."""

MADE = "Made from the code by `python -m tests.support.docs_reference`; a test fails when it is not current."


def settings() -> str:
    """Every setting of the service, and what every command reads."""
    from environments.settings import PREFIX, Settings
    from environments.ui.settings import PREFIX as OF_UI
    from environments.ui.settings import UiSettings

    schema = Settings.model_json_schema(mode="serialization")["properties"]
    options = _serve_options()
    rows = []
    for name, field in Settings.model_fields.items():
        option = f"`--{name.replace('_', '-')}`" if name in options else ""
        rows.append((f"`{PREFIX}{name.upper()}`", option, _default(name, field), schema[name]["description"]))
    of_ui = [
        (f"`{OF_UI}{name.upper()}`", _default(name, field), field.description or "")
        for name, field in UiSettings.model_fields.items()
    ]
    others = [
        ("`CALVINVERSE_CONTEXT`", "the context that clients use; also `--context`"),
        ("`CALVINVERSE_ADDRESS`", "where clients find the service, in place of a context; also `--address`"),
        ("`CALVINVERSE_TOKEN_FILE`", "file that holds the token clients show; also `--token-file`"),
        ("`CALVINVERSE_CA_FILE`", "CA of the service's own certificate, if the machine doesn't trust it anyway"),
        ("`CALVINVERSE_STATE`", "state folder, for every command and task"),
        (
            "`CALVINVERSE_DEBIAN_SOURCES`",
            "file (sources.list) with the mirrors of Debian 12 for images; default: those of this machine's apt",
        ),
        ("`CALVINVERSE_CACHE`", "folder of built tools, shared by all checkouts; default: `~/.cache/calvinverse`"),
    ]
    return _page(
        "Settings",
        "A setting of the service is an option of `calvinverse serve`, else a variable, else its default. "
        "Durations are written as `90m`, `8h`, `14d`.",
        _table(("Variable", "Option", "Default", "Meaning"), rows),
        "## Variables of the web page",
        _table(("Variable", "Default", "Meaning"), of_ui),
        "## Variables of clients and tasks",
        _table(("Variable", "Meaning"), others),
        _WHICH_SERVICE,
        "The state folder is `CALVINVERSE_STATE`; else `.calvinverse` in the checkout; else `calvinverse` in "
        "`XDG_STATE_HOME` or `~/.local/state`. What it holds: [Operate](../how-to/operate.md#the-state-folder).",
    )


_WHICH_SERVICE = """## Which service

A client uses the first of these that is given:

1. the option `--context`, or the option `--address`; both together are refused
2. the variable `CALVINVERSE_CONTEXT`, or the variable `CALVINVERSE_ADDRESS`; both together are refused
3. the context that `calvinverse context use` chose
4. the context `default`: the service that this machine deployed or serves
5. `http://127.0.0.1:8400`, without a token

Token and authority are those of the context. `--token-file`, `CALVINVERSE_TOKEN_FILE` and `CALVINVERSE_CA_FILE` replace
them, but with `--context` these variables don't count: they may be meant for another service. With an address, the
token and the authority of the current context or of `default` are used if that has the same address. Plain HTTP is
refused beyond loopback, except for the context `default`. How to use contexts:
[other machines](../how-to/other-machines.md)."""


def commands() -> str:
    """Every command of `calvinverse`, with arguments and options, and the exit statuses."""
    from environments.cli.failures import EXIT_STATUSES

    common = {name for name, _ in _records(_root(), _root_context())}
    sections = []
    for path, command, context in _leaves():
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        text, examples = _help(command.help)
        rows = [(f"`{name}`", says) for name, says in _records(command, context) if name not in common]
        sections.append(f"## {path}\n\n{text}\n\n```\n{usage}\n```")
        if rows:
            sections.append(_table(("Argument or option", "Meaning"), rows))
        if examples:
            sections.append(f"```sh\n{examples}\n```")
    root = [(f"`{name}`", says) for name, says in _records(_root(), _root_context())]
    statuses = [(str(status), meaning) for status, meaning in EXIT_STATUSES.items()]
    return _page(
        "Commands",
        "Standard output is data, standard error is talk. What can be done in the terminal UI as well: "
        "[actions](actions.md).",
        "## Options of every command\n\nBefore the command or behind it; behind it wins.",
        _table(("Option", "Meaning"), root),
        "## Exit statuses",
        _table(("Status", "Meaning"), statuses),
        *sections,
    )


def tasks() -> str:
    """Every task of doit."""
    from doit.loader import load_tasks

    found = load_tasks(vars(importlib.import_module("dodo")))
    rows = [
        (
            f"`doit {task.name}`",
            task.doc,
            ", ".join(f"`{name}`" for name in task.task_dep if not name.startswith("_")),
            "<br>".join(
                f"`--{option['long']}`: {option.get('help', '')}".rstrip(": ")
                for option in (*task.params, *task.creator_params)
            ),
        )
        for task in found
        if not task.name.startswith("_")
    ]
    return _page(
        "Tasks",
        "Run them with `.venv/bin/doit <task>`; `make ready` makes `.venv`. `make deploy` and `make test` do both.",
        _table(("Task", "What it does", "After", "Options"), rows),
    )


def step_kinds() -> str:
    """Every step kind: what it does, options, time limit, outputs, and the kinds of resources."""
    from environments.bootstrap.parts import make_registry
    from tests.support.parts import parts_of

    with tempfile.TemporaryDirectory() as state:
        registry = make_registry(parts_of(_no_connections, Path(state)))  # type: ignore[arg-type]
    sections = []
    for kind, executor in sorted(registry.executors.items()):
        model = executor.options
        rows = [(f"`{name}`", _type(field), _preset(model, name, field)) for name, field in _fields(model)]
        sections += [
            f"## {kind}\n\n{_plain(executor.description)}\n\n"
            f"Time limit: {_duration(executor.time_limit)}, unless the step "
            "sets `timeout`.",
            *([_doc(model), _table(("Option", "Type", "Default"), rows)] if rows else ["It has no options."]),
            f"Outputs: {_doc(executor.apply)}",
        ]
        for name, nested in _nested(model):
            rows = [
                (f"`{key}`", _type(field), "required" if field["required"] else _shown(field.get("default")))
                for key, field in nested
            ]
            sections += [f"`{name}`:", _table(("Option", "Type", "Default"), rows)]
    handlers = [(f"`{kind}`", _doc(type(handler))) for kind, handler in sorted(registry.handlers.items())]
    return _page(
        "Step kinds",
        "Values of a step's `uses`. Options stand in its `with` table; unknown ones are refused when the template is "
        "pushed. How to use them: [a new template](../how-to/new-template.md).",
        f"## Ready, degraded, unchanged, done\n\n{docs_step_kinds.WORDS}",
        "### Steps that run jobs\n\nBy the type of the job that `nomad.job` registers:",
        _table(("Type", "Done", "Unchanged", "Degraded"), docs_step_kinds.JOB_TYPES),
        "A task of an instance has to be as its `lifecycle` block says:",
        _table(("Task", "When its instance counts as running, the task"), docs_step_kinds.LIFECYCLE),
        docs_step_kinds.CANARIES,
        "### All kinds",
        _table(
            ("Kind", "Done when", "Unchanged when", "Degraded when"),
            ((f"`{kind}`", *docs_step_kinds.KINDS[kind]) for kind in sorted(registry.executors)),
        ),
        *sections,
        "## Kinds of resources\n\nWhat steps write into the inventory of an environment, and destroying removes.",
        _table(("Kind", "What knows it"), handlers),
    )


def error_codes() -> str:
    """Every code an error may have."""
    from environments.api.statuses import http_status
    from environments.domain.errors import all_errors
    from environments.exit_statuses import exit_status

    for place in PLACES:
        package = import_module(place)
        for module in pkgutil.walk_packages(package.__path__, f"{place}."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                import_module(module.name)
    own = {cls.__dict__["code"]: cls for cls in all_errors() if "code" in cls.__dict__ and _ours(cls)}
    rows = [
        (
            f"`{code}`",
            str(http_status(cls)),
            str(exit_status(cls)),
            "yes" if cls.transient else "",
            _doc(cls).partition("\n")[0],
            cls.default_hint,
        )
        for code, cls in sorted(own.items())
    ]
    return _page(
        "Error codes",
        "A code never changes its meaning. The API gives it in a problem document (RFC 9457) with the HTTP status; the "
        "command line ends with the exit status, or with 6 when a deployment that it follows fails with the code. The "
        "hint may be more exact than the one here. A transient error may "
        "pass by itself: a step retries for 30 s before it fails.",
        _table(("Code", "HTTP", "Exit", "Transient", "Meaning", "Hint"), rows),
    )


def api() -> str:
    """Every route."""
    from environments.api.app import create_app
    from tests.fakes.service import make_service

    with tempfile.TemporaryDirectory() as folder:
        service = make_service(Path(folder))
        document = create_app(service).openapi()
        service.database.close()
    sections = []
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method not in methods:
                continue
            route = methods[method]
            sections.append(f"## {method.upper()} {path}\n\n{route.get('description', '').strip()}")
            rows = [
                (f"`{part['name']}`", part["in"], part.get("description", "")) for part in route.get("parameters", ())
            ]
            if rows:
                sections.append(_table(("Parameter", "In", "Meaning"), rows))
            body = _schema_name(route.get("requestBody", {}).get("content", {}))
            if body:
                sections.append(f"Body: `{body}`.")
            sections.append("\n".join(_answers(route)))
            if route.get("security") == []:
                sections.append("Needs no token.")
    return _page(
        "API",
        'Requests carry `Authorization: Bearer <token>`; every route without "Needs no token" answers 401 without '
        "one. Bodies are JSON. Errors are problem documents; [their codes](error-codes.md). The whole schema is at "
        "`/openapi.json`, with the patterns of names, ids and durations.",
        "`HEAD` works wherever `GET` does. `OPTIONS` and each answer 405 name all methods of a path in `Allow`. A "
        "query parameter that a path doesn't take is refused with 422 `unknown_parameter`, one that is given twice "
        "with 422 `invalid_input`. A backend that is unavailable (Nomad, "
        "Consul, OpenBao, a git host, the database) is answered with 503; `Retry-After` says when to try again.",
        *sections,
    )


def access_by_route() -> str:
    """What each route answers to whom."""
    intro, head, rows, callers = docs_access.access_by_route()
    return _page(
        "Access by route",
        intro,
        _table(("Caller", "Who that is"), callers),
        _table(head, rows),
    )


def access() -> str:
    """The one table of what each action takes."""
    from environments.domain.access import EnvironmentRole, ServiceRole
    from environments.service.roles import ON_ENVIRONMENTS, ON_SERVICE, READS, Action

    def rows(table: dict[Action, EnvironmentRole] | dict[Action, ServiceRole]) -> list[tuple[str, str, str]]:
        found = [(action, table[action]) for action in Action if action in table]
        return [(f"`{action.value}`", role.value, "no" if action in READS else "yes") for action, role in found]

    return _page(
        "Access",
        "What each action takes, from the one table that decides (`environments/service/roles.py`). "
        "`calvinverse access table` prints it, `calvinverse access why` explains one case.",
        "## On an environment\n\nEach role may do what those before it may: viewer, planner, operator, owner. The "
        "owner of an environment and the members of the group that owns it have the role owner; others get a role by a "
        "share. An admin of the service has the role owner on every environment, an auditor the role viewer. A share "
        "can also let somebody reveal secrets who isn't owner.",
        _table(("Action", "Role", "Audited"), rows(ON_ENVIRONMENTS)),
        "## On the service\n\nA user may do what takes the role user to what is theirs. Who may create from a template "
        "is decided by its creators; a template without any is for everybody.",
        _table(("Action", "Role", "Audited"), rows(ON_SERVICE)),
    )


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "commands.md": commands,
    "tasks.md": tasks,
    "step-kinds.md": step_kinds,
    "error-codes.md": error_codes,
    "access.md": access,
    "api.md": api,
    "access-by-route.md": access_by_route,
}
"""File below docs/reference → what makes its text."""


def main() -> None:
    """Writes every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", f"<!-- {MADE} -->", *(part for part in parts if part)]) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _doc(thing: object) -> str:
    """The docstring of a class or function without what it raises, as Markdown."""
    text = inspect.getdoc(thing) or ""
    return _plain(re.split(r"\s*\bRaises `", text)[0])


def _plain(text: str) -> str:
    """Paragraphs in one line each; what stands in angle brackets outside of code would be taken for HTML."""
    joined = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    return re.sub(r"`[^`]*`|<[^>]*>", lambda found: found[0] if found[0].startswith("`") else f"`{found[0]}`", joined)


def _ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in PLACES


def _duration(value: timedelta) -> str:
    from environments.domain.deadline import format_duration

    return f"`{format_duration(value)}`"


def _no_connections() -> None:
    raise AssertionError("the reference asks nobody")


def _default(name: str, field: Any) -> str:
    from environments.context import state_folder

    if field.default_factory is state_folder:
        return "see below"
    if name == "templates":
        return "those that come with it"
    return _duration(field.default) if isinstance(field.default, timedelta) else _shown(field.default)


def _preset(model: Any, name: str, field: dict[str, Any]) -> str:
    default = model.model_fields[name].default
    if isinstance(default, timedelta):
        return _duration(default)
    return "required" if field["required"] else _shown(field.get("default"))


def _shown(value: Any) -> str:
    return "" if value in (None, "", [], {}) else f"`{value}`"


def _fields(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = model.model_json_schema()
    yield from _properties(schema)


def _properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield name, {**field, "required": name in schema.get("required", ())}


def _nested(model: Any) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    for name, schema in model.model_json_schema().get("$defs", {}).items():
        if "properties" in schema:
            yield name, list(_properties(schema))


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return f"`{field['$ref'].rpartition('/')[2]}`"
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if "anyOf" in field:
        return " or ".join(_type(part) for part in field["anyOf"] if part.get("type") != "null")
    kind: str = field.get("type", "any")
    kind = "duration" if field.get("format") == "duration" else kind
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"table of {_type(field['additionalProperties'])}"
    if kind == "array":
        return f"list of {_type(field.get('items', {}))}"
    limits = [
        f"{sign} {field[key]}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"), ("minLength", "length ≥"), ("maxLength", "length ≤"))
        if key in field
    ]
    return ", ".join(["table" if kind == "object" else kind, *limits])


def _root() -> Any:
    from typer.main import get_command

    from environments.cli.program import build

    return get_command(build())


def _root_context() -> Any:
    return _root().make_context("calvinverse", [], resilient_parsing=True)


def _leaves() -> Iterator[tuple[str, Any, Any]]:
    """Path, command and context of every command that does something."""
    queue: list[tuple[tuple[str, ...], Any, Any]] = [((), _root(), _root_context())]
    while queue:
        path, command, context = queue.pop(0)
        children = getattr(command, "commands", None)
        if children is None:
            yield " ".join(path), command, context
            continue
        for name, child in children.items():
            below = child.make_context(name, [], parent=context, resilient_parsing=True)
            queue.append(((*path, name), child, below))


def _records(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    for part in command.params:
        if record := part.get_help_record(context):
            yield record


def _serve_options() -> set[str]:
    return {part.name for path, command, _ in _leaves() if path == "serve" for part in command.params}


def _help(text: str | None) -> tuple[str, str]:
    """The prose and the examples of a command's help."""
    prose, _, examples = (text or "").partition("\b\nExamples:\n")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", prose.strip()), inspect.cleandoc(examples)


def _schema_name(content: dict[str, Any]) -> str:
    for media, entry in content.items():
        schema = entry.get("schema", {})
        if schema.get("type") == "array":
            return f"list of {_schema_name({media: {'schema': schema['items']}})}"
        for option in [schema, *schema.get("anyOf", ())]:
            if "$ref" in option:
                return str(option["$ref"]).rpartition("/")[2]
    return ""


def _answers(route: dict[str, Any]) -> Iterator[str]:
    for status, answer in sorted(route["responses"].items()):
        model = _schema_name(answer.get("content", {}))
        shown = f"`{model}`. " if model and model != "Problem" else ""
        yield f"- {status}: {shown}{answer.get('description', '').strip()}"


if __name__ == "__main__":
    main()
