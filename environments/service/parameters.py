"""Parameters of an environment: defaults filled in, checked against the template's JSON Schema (draft 2020-12)."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from referencing.exceptions import Unresolvable

from environments.domain.errors import InvalidParameters
from environments.domain.json_values import fits_floats
from environments.domain.suggesting import aside
from environments.domain.template_parts import Template
from environments.schemas.depth import DEEPEST, deeper_than
from environments.schemas.faults import (
    BROKEN,
    ENDLESS,
    NO_SCHEMA,
    check_usable,
    leads_nowhere,
    unsupported,
)
from environments.schemas.keywords import ValidationError, validator_for
from environments.schemas.patterns import UnusablePattern

_MOST_FAULTS = 20
"""Faults of one parameter that are reported; a long list may have more."""

_MOST_SUGGESTED_FOR = 10
"""Unknown parameters for which similar names are suggested."""

_LONGEST_REASON = 300
"""Characters of a validator's message, which repeats the value."""


_NOT_EXACT = "holds a whole number that OpenBao doesn't keep exactly: give it as a string, or use a smaller one"
"""The fault of a secret value: OpenBao stores numbers as 64-bit floats."""

_LONGEST_WANTED = 100
"""Characters of a schema's rule that a message about a secret quotes."""


def check_parameters(
    template: Template, given: Mapping[str, Any], *, known: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The given parameters and the defaults of the others. Those in `known` were given earlier, and may be left out.

    Raises `InvalidParameters` naming every fault at once, and `SchemaUnsupported`.
    """
    return check_values(template.name, template.parameters, given, known)


def check_values(
    template: str,
    schemas: Mapping[str, Mapping[str, Any]],
    given: Mapping[str, Any],
    known: Collection[str] = (),
    note: Callable[[str], None] = lambda place: None,
) -> dict[str, Any]:
    """Does what `check_parameters` does, with the parameters' `schemas`.

    Calls `note` with each name before its check.
    """
    check_usable(template, schemas)
    values = {name: schema["default"] for name, schema in schemas.items() if "default" in schema} | dict(given)
    problems = [f"{name}: is missing" for name in schemas if name not in values and name not in known]
    unknown = [name for name in values if name not in schemas]
    problems += [
        f"{name}: there is no such parameter{aside(name, schemas) if number < _MOST_SUGGESTED_FOR else ''}"
        for number, name in enumerate(unknown)
    ]
    by_name: dict[str, str] = {}
    for name in sorted(schemas.keys() & values.keys()):
        note(f"parameter {name!r}")
        if deeper_than(values[name], DEEPEST):
            problems.append(f"{name}: is nested deeper than {DEEPEST} levels")
            by_name[name] = f"is nested deeper than {DEEPEST} levels"
            continue
        if schemas[name].get("writeOnly") is True and not fits_floats(values[name]):
            problems.append(f"{name}: {_NOT_EXACT}")
            by_name[name] = _NOT_EXACT
            continue
        for place, reason in _faults(template, name, schemas[name], values[name]):
            problems.append(f"{place}: {reason}")
            by_name[name] = reason
    if problems:
        raise InvalidParameters(
            f"The parameters don't fit template {template!r}: {'; '.join(problems)}.",
            hint=f"See which parameters it takes with `calvinverse template show {template}`.",
            details={"problems": problems, "by_name": by_name},
        )
    return {name: values[name] for name in schemas if name in values}


def split_secrets(template: Template, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of open parameters, and those of secret parameters; each keeps its type."""
    secret = template.secret_parameters()
    opened = {name: value for name, value in values.items() if name not in secret}
    return opened, {name: value for name, value in values.items() if name in secret}


def _faults(template: str, name: str, schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str, str]]:
    """Where a value doesn't fit its schema, and why."""
    secret = schema.get("writeOnly") is True
    try:
        found = list(islice(validator_for(schema).iter_errors(value), _MOST_FAULTS))
    except RecursionError:
        raise unsupported(template, name, ENDLESS) from None
    except Unresolvable as error:
        raise unsupported(template, name, leads_nowhere(error), "$ref", str(error.ref)) from None
    except UnusablePattern as error:
        raise unsupported(template, name, f"its pattern can't be run ({error})", "pattern", error.pattern) from None
    except BROKEN:
        raise unsupported(template, name, NO_SCHEMA) from None
    for fault in sorted(found, key=lambda fault: [str(part) for part in fault.path]):
        path = _known_path(fault) if secret else fault.path
        yield ".".join([name, *(str(part) for part in path)]), _reason(fault, secret)


def _known_path(fault: ValidationError) -> Iterator[str | int]:
    """The path of a fault in a secret, without names that only the secret contains."""
    named = {part for part in fault.schema_path if isinstance(part, str)}
    for part in fault.path:
        if isinstance(part, str) and part not in named:
            return
        yield part


def _reason(fault: ValidationError, secret: bool) -> str:
    """The validator's message. It isn't used for secrets, because it quotes the value."""
    if secret:
        wanted = json.dumps(fault.validator_value, ensure_ascii=False, default=str)
        return f"does not fit ({fault.validator}: {wanted if len(wanted) <= _LONGEST_WANTED else '…'})"
    said = fault.message
    return said if len(said) <= _LONGEST_REASON else f"{said[: _LONGEST_REASON // 2]} … {said[-_LONGEST_REASON // 2 :]}"
