"""Expressions in templates: Jinja2, sandboxed, one pass; what a parameter holds is data, never an expression."""

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from environments.domain.environment import Environment
from environments.domain.errors import ImageNotPublished, InvalidTemplate

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


_jinja = _Expressions(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)


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
