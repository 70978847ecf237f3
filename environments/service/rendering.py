"""Expressions in templates: Jinja2, sandboxed, in one pass. The value of a parameter is data, never an expression.

An expression whose cost is proportional to what it reads (`is_plain`) is evaluated in place. Any other could use all
time and memory (`{{ 'x' * 10**9 }}`), so an `Evaluate` with limits evaluates it.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from jinja2 import StrictUndefined, TemplateError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from environments.domain.environment import Environment
from environments.domain.errors import CheckTooCostly, ImageNotPublished, InvalidTemplate
from environments.domain.json_values import TOO_LARGE, check_numbers
from environments.domain.references import references_in
from environments.service.expression_words import in_words
from environments.service.plain_expressions import is_plain

LARGEST_RENDERED = 4 * 1024 * 1024
"""Characters that the rendered options of one step, or one rendered output, may have in all."""


class Evaluate(Protocol):
    """Evaluates one text that isn't plain within limits, otherwise like the function `evaluate`."""

    def __call__(self, text: str, names: Mapping[str, Any], where: str) -> Any:
        """The value. Raises what `render` raises."""
        ...


class _Images(dict[str, str]):
    """References by name. For an unpublished name the error says so, in place of an unknown attribute."""

    def __missing__(self, name: str) -> str:
        raise ImageNotPublished(f"No image {name!r} is published.")


class _Expressions(ImmutableSandboxedEnvironment):
    """Resolves `steps.settings.keys` to the entry `keys`, not to the method that every mapping has."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, _Images) or (isinstance(obj, Mapping) and attribute in obj):
            return obj[attribute]
        return super().getattr(obj, attribute)


def refuse_references(value: Any, where: str = "") -> Any:
    """The value, if it is no reference to a secret. The message of `InvalidTemplate` begins with `where`."""
    for found in references_in(value):
        raise InvalidTemplate(
            f"{f'{where}: ' if where else ''}the reference to the secret {found.key!r} of step {found.step!r} stands "
            "where only a secret output may have one.",
            hint=f"A job reads the secret at {{{{ steps.{found.step}.path }}}}; people see it by an output that is the "
            "whole reference and has secret = true.",
        )
    return value


# `finalize` gets what an expression writes into a text: a reference can only be passed on as a whole.
expressions = _Expressions(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=refuse_references
)


class Whole(NamedTuple):
    """A text that is one expression. `names` are the names that it uses; `chain` is `("steps", "a", "url")` if it is
    nothing but `steps.a.url`, else empty."""

    names: frozenset[str]
    chain: tuple[str, ...]


def scope(
    environment: Environment,
    parameters: Mapping[str, Any],
    steps: Mapping[str, Mapping[str, Any]],
    images: Mapping[str, str],
) -> dict[str, Any]:
    """The names that expressions can use: `parameters`, `environment`, the outputs of `steps` that are done, `images`.

    `images` has the reference of each published image by its name: `images.web`, `images["build-agent"]`.
    """
    return {
        "parameters": dict(parameters),
        "environment": {"id": environment.id, "name": environment.name, "owner": environment.owner},
        "steps": {name: dict(outputs) for name, outputs in steps.items()},
        "images": known_images(images),
    }


def known_images(images: Mapping[str, str]) -> Mapping[str, str]:
    """The references as `scope` has them. For a missing one the error says that the image isn't published."""
    return _Images(images)


def render(value: Any, names: Mapping[str, Any], where: str, costly: Evaluate | None = None) -> Any:
    """`value` with every expression in it evaluated, tables and lists included.

    A text that is one whole expression keeps the type of its value (design.md). Messages begin with `where`: those of
    the `InvalidTemplate` that an unknown name or a fault in an expression raises, of the `ImageNotPublished` that an
    image without a reference raises, and of the `CheckTooCostly` for a result that is too large. `costly` evaluates
    texts that aren't plain; without it they are evaluated in place like the others.
    """
    return _Rendering(names, costly or evaluate).render(value, where)


class _Rendering:
    """One call of `render`, which counts the characters that it has produced."""

    def __init__(self, names: Mapping[str, Any], costly: Evaluate) -> None:
        self._names = names
        self._costly = costly
        self._left = LARGEST_RENDERED

    def render(self, value: Any, where: str) -> Any:
        if isinstance(value, str):
            return self._text(value, where)
        if isinstance(value, Mapping):
            return {key: self.render(part, f"{where}.{key}") for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.render(part, f"{where}[{index}]") for index, part in enumerate(value)]
        return value

    def _text(self, text: str, where: str) -> Any:
        if "{{" not in text and "{%" not in text:
            return text
        found = evaluate(text, self._names, where) if _evaluated_here(text) else self._costly(text, self._names, where)
        try:
            check_numbers(found)
        except ValueError as error:
            raise InvalidTemplate(f"{where}: what the expression gives can't be written down: {error}.") from error
        self._left -= _size(found)
        if self._left < 0:
            raise CheckTooCostly(
                f"{where}: what the expressions give has more than {LARGEST_RENDERED} characters.",
                details={"place": where},
            )
        return found


@lru_cache(maxsize=256)
def _evaluated_here(text: str) -> bool:
    try:
        return is_plain(expressions.parse(text))
    except (TemplateError, RecursionError, MemoryError):
        return False


def evaluate(text: str, names: Mapping[str, Any], where: str) -> Any:
    """The value of one text with expressions, without limits. Raises what `render` raises."""
    try:
        whole = _whole(text)
        if whole is not None:
            found = expressions.compile_expression(whole, undefined_to_none=False)(**names)
            if isinstance(found, StrictUndefined):
                str(found)
            return found
        return expressions.from_string(text).render(**names)
    except ImageNotPublished as error:
        raise ImageNotPublished(f"{where}: {error.message}") from error
    except InvalidTemplate as error:
        raise InvalidTemplate(f"{where}: {error.message}", hint=error.hint) from error
    except UndefinedError as error:
        raise InvalidTemplate(f"{where}: {in_words(str(error))}.") from error
    except SecurityError as error:
        raise InvalidTemplate(f"{where}: the expression does something that templates must not do: {error}.") from error
    except TemplateError as error:
        raise InvalidTemplate(f"{where}: {in_words(str(error))}.") from error
    except RecursionError as error:
        raise InvalidTemplate(f"{where}: the expression is nested too deeply.") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, SyntaxError, NameError) as error:
        # Python's message doesn't help an author: Jinja compiles 1e999 to a name, `inf`.
        large = "int_max_str_digits" in str(error) or isinstance(error, NameError)
        said = TOO_LARGE if large else in_words(str(error))
        raise InvalidTemplate(f"{where}: the expression fails: {said}.") from error


def fault(text: str) -> str | None:
    """The fault in the syntax of the expressions in a text; None if there is none."""
    try:
        expressions.compile(text)
        if reason := _too_large(expressions.parse(text)):
            return reason
    except TemplateError as error:
        return in_words(str(error))
    except RecursionError:
        return "it is nested too deeply"
    except (SyntaxError, ValueError, OverflowError) as error:
        large = "int_max_str_digits" in str(error)
        return f"it can't be compiled: {TOO_LARGE if large else error}"
    return None


def _too_large(tree: nodes.Template) -> str | None:
    """Why a part without names can never be evaluated. Jinja doesn't report such a fault when it compiles the text."""
    for node in tree.find_all((nodes.Const, nodes.BinExpr, nodes.Filter)):
        try:
            value = node.as_const()
        except nodes.Impossible as impossible:
            cause: BaseException | None = impossible
            while cause is not None:
                if isinstance(cause, MemoryError | OverflowError):
                    return "a constant in it needs more memory than there is"
                cause = cause.__cause__
            continue
        try:
            check_numbers(value)
        except ValueError as error:
            return f"in a constant of it {error}"
    return None


def whole_expression(text: str) -> Whole | None:
    """Names and chain of a text that is one whole expression; None if it isn't one or has a fault."""
    whole = _whole(text)
    tree = None if whole is None else _parsed("{{" + whole + "}}")
    if tree is None:
        return None
    written = [node for part in tree.find_all(nodes.Output) for node in part.nodes]
    chain = path_of(written[0]) if len(written) == 1 else ()
    return Whole(frozenset(name.name for name in tree.find_all(nodes.Name)), chain)


def chains(text: str) -> Iterator[tuple[str, ...]]:
    """Every path such as `("steps", "a", "url")` in the expressions of a text, and each of its prefixes."""
    tree = _parsed(text)
    if tree is not None:
        for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
            yield path_of(node)


def _parsed(text: str) -> nodes.Template | None:
    """The syntax tree of a text's expressions; None if they have a fault."""
    try:
        return expressions.parse(text)
    except TemplateError:
        return None


def path_of(node: nodes.Node) -> tuple[str, ...]:
    """The path that a node represents, such as `("steps", "a", "url")`; empty if it represents none."""
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            inner, last = path_of(node.node), node.attr
        case nodes.Getitem(arg=nodes.Const(value=str() as last)):
            inner = path_of(node.node)
        case _:
            return ()
    return (*inner, last) if inner else ()


def _whole(text: str) -> str | None:
    """The expression, if the text consists of exactly one; else None."""
    stripped = text.strip()
    if not (stripped.startswith("{{") and stripped.endswith("}}") and len(stripped) >= 4):
        return None
    inside = stripped[2:-2]
    return None if "{{" in inside or "}}" in inside else inside


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if value is None or isinstance(value, bool | int | float):
        return 8
    try:
        return len(json.dumps(value, default=str))
    except (TypeError, ValueError, RecursionError):
        return len(str(value))
