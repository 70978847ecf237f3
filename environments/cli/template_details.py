"""How `calvinverse template` shows a template."""

from typing import TYPE_CHECKING

from environments.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environments.wire.templates import TemplateView


def details(view: "TemplateView", session: Session) -> "Iterator[str]":
    """All that is known of a template, as lines."""
    from environments.cli.tables import pairs, section, table
    from environments.moments import moment
    from environments.template_words import costs, makes, takes
    from environments.words import shown

    yield from pairs(
        (
            ("name", view.name),
            ("version", view.version),
            ("about", view.description),
            ("digest", view.digest),
            ("pushed", f"{moment(view.pushed_at, session.zone)} by {view.pushed_by}"),
            *_source(view),
            ("lifetime", f"{lifetime(view.default_lifetime)}, at most {lifetime(view.maximum_lifetime)}"),
            ("makes", makes(view)),
            ("takes", takes(view)),
            ("costs", costs(view)),
            *([("host volumes", f"{', '.join(view.host_volumes)}; for admins only")] if view.host_volumes else []),
            *([("network", "the node's; for admins only")] if view.network == "host" else []),
            *_creation(view),
        )
    )
    required = view.parameters_schema.get("required", [])
    parameters = [
        (
            name,
            str(schema.get("type", "any")),
            "required" if name in required else shown(schema.get("default")),
            _limits(schema),
            str(schema.get("description", "")),
        )
        for name, schema in view.parameters_schema.get("properties", {}).items()
    ]
    if parameters:
        yield from section("Parameters", table(("NAME", "TYPE", "DEFAULT", "LIMITS", "DESCRIPTION"), parameters))
    steps = [(step.name, step.uses, ", ".join(step.needs)) for step in view.steps]
    yield from section("Steps", table(("NAME", "KIND", "NEEDS"), steps))
    yield from section("Outputs", pairs((name, text or "-") for name, text in view.outputs.items()))


def _creation(view: "TemplateView") -> "Iterator[tuple[str, str]]":
    """Whether the reader may create from it, and who may."""
    creation = view.creation
    if creation is None:
        return
    limit = f", {creation.most} at once, of which you have {creation.have}" if creation.most is not None else ""
    yield "you", f"may create from it{limit}" if creation.allowed else f"can't create from it: {creation.why_not}"
    if creation.creators is not None:
        rules = [f"{one.subject}{f' ({one.most} each)' if one.most is not None else ''}" for one in creation.creators]
        yield "creators", ", ".join(rules) or "everybody"


def _source(view: "TemplateView") -> "Iterator[tuple[str, str]]":
    if view.source is not None:
        folder = f", folder {view.source.path}" if view.source.path else ""
        yield "from", f"{view.source.url}, {origin(view)}{folder}"


def _limits(schema: dict[str, object]) -> str:
    from environments.words import shown

    if "enum" in schema:
        return shown(schema["enum"])
    names = {"minimum": "≥ ", "maximum": "≤ ", "minLength": "length ≥ ", "maxLength": "length ≤ ", "pattern": "like "}
    return ", ".join(f"{sign}{schema[name]}" for name, sign in names.items() if name in schema)


def origin(view: "TemplateView", before: str = "") -> str:
    """The git revision of a template, shortened; empty for a template that was pushed from a folder."""
    if view.source is None:
        return ""
    commit = view.source.commit[:12]
    return f"{before}{commit if view.source.ref == view.source.commit else f'{view.source.ref} {commit}'}"


def lifetime(seconds: float | None) -> str:
    """A lifetime in words; `-` for none."""
    from datetime import timedelta

    from environments.domain.deadline import format_duration

    return "-" if seconds is None else format_duration(timedelta(seconds=seconds))
