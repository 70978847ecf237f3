"""Expressions in templates: Jinja2, sandboxed, one pass; what a parameter holds is data, never an expression."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, TemplateError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from environments.domain.environment import Environment
from environments.domain.errors import ImageNotPublished, InvalidTemplate
from environments.domain.references import references_in

_WHOLE = re.compile(r"\s*\{\{(?P<expression>(?:(?!\{\{|\}\}).)*)\}\}\s*", re.DOTALL)


class _Images(dict[str, str]):
    """References by name; a name that isn't published is told as such, and not as an unknown attribute."""

    def __missing__(self, name: str) -> str:
        raise ImageNotPublished(f"No image {name!r} is published.")


class _Expressions(ImmutableSandboxedEnvironment):
    """Takes `steps.settings.keys` for the entry of that name, not for the method that every mapping has."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, _Images) or (isinstance(obj, Mapping) and attribute in obj):
            return obj[attribute]
        return super().getattr(obj, attribute)


def refuse_references(value: Any, where: str = "") -> Any:
    """The value itself, if it holds no reference to a secret. `where` begins the message of `InvalidTemplate`."""
    for found in references_in(value):
        raise InvalidTemplate(
            f"{f'{where}: ' if where else ''}the reference to the secret {found.key!r} of step {found.step!r} stands "
            "where only a secret output may have one.",
            hint=f"A job reads the secret at {{{{ steps.{found.step}.path }}}}; people see it by an output that is the "
            "whole reference and has secret = true.",
        )
    return value


# `finalize` gets whatever an expression writes into a text: a reference is passed on as a whole or not at all.
_jinja = _Expressions(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=refuse_references
)


class Whole(NamedTuple):
    """A text that is one expression. `names` are those that it uses; `chain` is `("steps", "a", "url")` if it is
    nothing but `steps.a.url`, else empty."""

    names: frozenset[str]
    chain: tuple[str, ...]


def scope(
    environment: Environment,
    parameters: Mapping[str, Any],
    steps: Mapping[str, Mapping[str, Any]],
    images: Mapping[str, str],
) -> dict[str, Any]:
    """What expressions see: `parameters`, `environment`, the outputs of `steps` that are done, and `images`.

    `images` has the reference of each published image by its name: `images.web`, `images["build-agent"]`.
    """
    return {
        "parameters": dict(parameters),
        "environment": {"id": environment.id, "name": environment.name, "owner": environment.owner},
        "steps": {name: dict(outputs) for name, outputs in steps.items()},
        "images": _Images(images),
    }


def render(value: Any, names: Mapping[str, Any], where: str) -> Any:
    """`value` with every expression in it evaluated, tables and lists included.

    A text that is one whole expression keeps the type of its value (design.md). `where` begins the message of the
    `InvalidTemplate` that an unknown name or a fault in an expression raises, and of the `ImageNotPublished` that an
    image without a reference raises.
    """
    if isinstance(value, str):
        return _render_text(value, names, where)
    if isinstance(value, Mapping):
        return {key: render(part, names, f"{where}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [render(part, names, f"{where}[{index}]") for index, part in enumerate(value)]
    return value


def _render_text(text: str, names: Mapping[str, Any], where: str) -> Any:
    if "{{" not in text and "{%" not in text:
        return text
    try:
        whole = _WHOLE.fullmatch(text)
        if whole:
            found = _jinja.compile_expression(whole["expression"], undefined_to_none=False)(**names)
            if isinstance(found, StrictUndefined):
                str(found)
            return found
        return _jinja.from_string(text).render(**names)
    except ImageNotPublished as error:
        raise ImageNotPublished(f"{where}: {error.message}") from error
    except InvalidTemplate as error:
        raise InvalidTemplate(f"{where}: {error.message}", hint=error.hint) from error
    except UndefinedError as error:
        raise InvalidTemplate(f"{where}: {error.message}.") from error
    except SecurityError as error:
        raise InvalidTemplate(f"{where}: the expression does what templates may not: {error}.") from error
    except TemplateError as error:
        raise InvalidTemplate(f"{where}: {error}.") from error
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise InvalidTemplate(f"{where}: the expression fails: {error}.") from error


def fault(text: str) -> str | None:
    """What is wrong with the syntax of the expressions in a text; None when nothing is."""
    try:
        _jinja.parse(text)
    except TemplateError as error:
        return str(error)
    return None


def whole_expression(text: str) -> Whole | None:
    """What can be seen of a text that is one whole expression; None when it is something else or is wrong."""
    whole = _WHOLE.fullmatch(text)
    if whole is None or fault(text) is not None:
        return None
    tree = _jinja.parse("{{" + whole["expression"] + "}}")
    written = [node for part in tree.find_all(nodes.Output) for node in part.nodes]
    chain = _chain(written[0]) if len(written) == 1 else ()
    return Whole(frozenset(name.name for name in tree.find_all(nodes.Name)), chain)


def chains(text: str) -> Iterator[tuple[str, ...]]:
    """Every path such as `("steps", "a", "url")` in the expressions of a text, its beginnings too."""
    if fault(text) is None:
        for node in _jinja.parse(text).find_all((nodes.Getattr, nodes.Getitem)):
            yield _chain(node)


def _chain(node: nodes.Node) -> tuple[str, ...]:
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            inner, last = _chain(node.node), node.attr
        case nodes.Getitem(arg=nodes.Const(value=str() as last)):
            inner = _chain(node.node)
        case _:
            return ()
    return (*inner, last) if inner else ()
