"""Finds the services that a job file registers, as far as its text tells, and checks their names."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from environments.domain.errors import CalvinverseError
from environments.domain.faults import Fault, Path, meant, shown
from environments.domain.names import META, check_label, service_prefix
from environments.domain.template import Bundle
from environments.service.shapes import TEXT, Gone, Shape, table
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import Attribute, Block, Body, Tree, parse

ENVIRONMENT_VARIABLE = "environment"
"""A job file that declares this variable gets the environment's name as its value."""

JOB_STEPS = "nomad.job"
_OWN = (True, f"var.{ENVIRONMENT_VARIABLE}")
_RUN_TIME = ("NOMAD_", "env.", "attr.", "node.", "meta.")
"""Prefixes of the names that Nomad replaces when the job runs."""


@dataclass(frozen=True)
class Made:
    """The services of a job: the known names, each with whether the service has a `url` (None: unknown).

    `open`: there may be further services.
    """

    services: Mapping[str, bool | None]
    open: bool


def made_services(tree: Tree) -> Made:
    """The services that a step's outputs contain."""
    found: dict[str, bool | None] = {}
    unsure = any(block.kind == "dynamic" for block, _ in tree.walk())
    for block, _ in tree.walk():
        if block.kind == "job" and _ends(block.body):
            return Made({}, open=False)
        if block.kind == "job" and (kind := block.body.attribute("type")) is not None and kind.text is None:
            unsure = True
        if block.kind != "service" or _provider(block.body) == "nomad":
            continue
        name = _own_name(block.body.attribute("name"))
        if name is None or _provider(block.body) is None:
            unsure = True
        else:
            found[name] = _has_url(block.body)
    return Made(found, unsure)


def made_by(options: Mapping[str, Any], bundle: Bundle) -> Made | None:
    """The services of a `nomad.job` step; None if its job file isn't known or can't be read."""
    file = options.get("file")
    content = bundle.files.get(file) if isinstance(file, str) else None
    if content is None or (variables := options.get("variables", {})) is None:
        return None
    tree = parse(content.decode(errors="replace"))
    if tree.problems or (isinstance(variables, Mapping) and ENVIRONMENT_VARIABLE in variables):
        return None
    return made_services(tree)


def services_of(bundle: Bundle) -> frozenset[str] | None:
    """The services of all steps of a template; None if there may be further ones."""
    found: set[str] = set()
    for step in bundle.template().steps:
        if step.uses == "opentofu.module" or not step.uses:
            return None
        if step.uses == JOB_STEPS:
            made = made_by(step.options, bundle)
            if made is None or made.open:
                return None
            found |= made.services.keys()
    return frozenset(found)


def unknown_service(name: str, known: Collection[str] | None, path: Path) -> Fault | None:
    """The fault at `path`, below an option, of a service that isn't among those of `services_of`; None without one."""
    if known is None or name in known:
        return None
    there_are = f"there are: {', '.join(sorted(known))}" if 0 < len(known) <= 8 else ""
    message = f"{shown(path[:2])}: no step makes a service {name!r}"
    return Fault(path=path, message=message, suggestion=meant(name, known) or there_are)


def service_shapes(made: Made) -> Shape:
    """The shape of a step's output `services`."""
    common = {"name": TEXT, "address": TEXT, "port": Shape(kind=int)}
    lacking = Gone(
        why="is not known: neither a check nor a tag of the service says its protocol",
        suggestion='give it a check of the type "http", or the tag "http" or "https"',
    )
    urls = {True: TEXT, False: lacking, None: TEXT}
    return table({name: table({**common, "url": urls[url]}) for name, url in made.services.items()}, open=made.open)


def service_faults(source: Source, variables: Any, template: str) -> Iterator[Fault]:
    """Faults of service names: a missing prefix of the environment, and impossible names."""
    declared = any(block.labels == (ENVIRONMENT_VARIABLE,) for block in source.tree.body.of("variable"))
    own = not (isinstance(variables, Mapping) and ENVIRONMENT_VARIABLE in variables)
    for block, around in source.tree.walk():
        # Gateways of Consul have blocks with that name, too.
        if block.kind != "service" or around is None or around.kind not in ("group", "task"):
            continue
        yield from _service(source, block, declared and own, template)


def _service(source: Source, block: Block, known: bool, template: str) -> Iterator[Fault]:
    example = f'write name = "${{var.{ENVIRONMENT_VARIABLE}}}--<service>"'
    attribute = block.body.attribute("name")
    if attribute is None:
        yield source.fault(
            block.at, "the service has no name, and Nomad's default name doesn't have the environment's prefix", example
        )
        return
    parts = attribute.parts
    if not parts:
        return
    code, first = parts[0]
    if template == META and not code and first.startswith(service_prefix(META)):
        return
    if not code or first.startswith(_RUN_TIME):
        shown = "".join(f"${{{text}}}" if inner else text for inner, text in parts)
        rest = "".join(text for inner, text in parts if not inner).rpartition("--")[2] or "<service>"
        yield source.fault(
            attribute.at,
            f"the name of the service, {shown[:80]!r}, does not begin with the environment's prefix",
            f'write name = "${{var.{ENVIRONMENT_VARIABLE}}}--{rest}"',
        )
    elif known and first == _OWN[1]:
        yield from _label(source, attribute, parts[1:])


def _label(source: Source, attribute: Attribute, rest: list[tuple[bool, str]]) -> Iterator[Fault]:
    if not rest or rest[0][0] or not rest[0][1].startswith("--"):
        written = "".join(text for inner, text in rest if not inner).lstrip("-") or "<service>"
        yield source.fault(
            attribute.at,
            "the environment's name and the service's name must be separated by two hyphens",
            f'write name = "${{var.{ENVIRONMENT_VARIABLE}}}--{written}"',
        )
        return
    if any(code for code, _ in rest):
        return
    label = "".join(text for _, text in rest).removeprefix("--")
    try:
        check_label(label, "a service")
    except CalvinverseError as error:
        yield source.fault(attribute.at, error.message.rstrip("."), error.hint.rstrip(".").lower())


def _own_name(attribute: Attribute | None) -> str | None:
    """The part of the name after the prefix, for a name whose prefix must be corrected; None if unknown."""
    parts = None if attribute is None else attribute.parts
    if not parts or any(code for code, _ in parts[1:]):
        return None
    text = "".join(part for code, part in parts if not code)
    if parts[0][0]:
        known = parts[0] == _OWN or parts[0][1].startswith(_RUN_TIME)
        return text.removeprefix("--") if known and text.startswith("--") else None
    return (
        text.removeprefix(service_prefix(META)) if text.startswith(service_prefix(META)) else text.rpartition("--")[2]
    )


def _ends(job: Body) -> bool:
    kind = job.attribute("type")
    return kind is not None and kind.text in ("batch", "sysbatch")


def _provider(service: Body) -> str | None:
    """The provider with which it is registered; None if unknown."""
    provider = service.attribute("provider")
    return "consul" if provider is None else (provider.text or ("consul" if provider.text == "" else None))


def _has_url(service: Body) -> bool | None:
    """Whether its check, a tag or its metadata says its protocol; None if unknown."""
    if any(block.kind in ("meta", "dynamic") for block in service.blocks) or service.attribute("meta") is not None:
        return None
    tags = service.attribute("tags")
    if tags is not None:
        words = {token.text for token in tags.tokens}
        if words & {"http", "https"}:
            return True
        if any(token.kind.value in ("word", "code") for token in tags.tokens):
            return None
    for check in service.of("check"):
        for name in ("type", "protocol"):
            attribute = check.body.attribute(name)
            if attribute is not None and attribute.text is None:
                return None
            if attribute is not None and attribute.text in ("http", "https"):
                return True
    return False
