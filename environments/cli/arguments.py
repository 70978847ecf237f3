"""What people type, as the API wants it: parameters by the template's schema, lifetimes in the local zone."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from environments.domain.deadline import parse_duration, parse_moment
from environments.domain.errors import InvalidInput, InvalidLifetime, InvalidParameters

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def read_parameters(
    schema: Mapping[str, Any], pairs: Sequence[str], rest: Sequence[str] = (), *, template: str
) -> dict[str, Any]:
    """Parameters from `-p key=value`, `-p @file` (a JSON object; `@-`: standard input) and `--key value`.

    Each value is read as its type in the schema, so `-p version=1.0` stays text where text is wanted. Ranges, and
    what is required, are the service's to check. Raises `InvalidParameters` that names every unknown or unreadable one.
    """
    known: Mapping[str, Any] = schema.get("properties", {})
    values: dict[str, Any] = {}
    faults: list[str] = []
    for key, text in (*_pairs(pairs, values), *_options(rest, known)):
        if key not in known:
            faults.append(f"there is no parameter {key!r}")
            continue
        try:
            values[key] = read_value(text, known[key])
        except ValueError as error:
            faults.append(f"{key}: {error}")
    faults += [f"there is no parameter {key!r}" for key in values if key not in known]
    if faults:
        raise InvalidParameters(
            f"The parameters don't fit the template {template!r}: {'; '.join(faults)}.",
            hint=f"It takes: {', '.join(known) or 'none'}. See `calvinverse template show {template}`.",
            details={"problems": faults},
        )
    return values


def read_value(text: str, schema: Mapping[str, Any]) -> Any:
    """A text as a value of the type that a JSON Schema wants. Raises `ValueError` with a reason."""
    wanted = schema.get("type")
    if wanted == "string":
        return text
    if wanted == "boolean":
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(f"{text!r} is neither true nor false")
    try:
        value = json.loads(text, parse_constant=_no_number)
    except ValueError:
        if wanted is None or (isinstance(wanted, list) and "string" in wanted):
            return text
        raise ValueError(f"{text!r} is not of type {wanted}") from None
    kinds: dict[str, Any] = {"integer": int, "number": (int, float), "array": list, "object": dict}
    fits = kinds.get(wanted) if isinstance(wanted, str) else None
    if fits is not None and (isinstance(value, bool) or not isinstance(value, fits)):
        raise ValueError(f"{text!r} is not of type {wanted}")
    return value


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _pairs(pairs: Sequence[str], values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        if pair.startswith("@"):
            values.update(_from_file(pair[1:]))
            continue
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InvalidInput(f"{pair!r} is not a parameter.", hint="Write it as -p key=value, or -p @file.json.")
        yield key.strip(), text


def _from_file(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        found = json.loads(text, parse_constant=_no_number)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"The parameters in {name!r} can't be read: {error}.", hint="It holds a JSON object."
        ) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{name!r} holds no JSON object.")
    return found


def _options(rest: Sequence[str], known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """`--key value`, `--key=value`, and `--key` alone for a boolean."""
    waiting = list(rest)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--") or word == "--":
            raise InvalidInput(f"{word!r} is one argument too many.", hint="Parameters are written as -p key=value.")
        key, equals, text = word[2:].partition("=")
        key = key.replace("-", "_") if key not in known else key
        if not equals:
            alone = not waiting or waiting[0].startswith("--")
            if alone and known.get(key, {}).get("type") == "boolean":
                text = "true"
            elif alone and key in known:
                raise InvalidInput(f"The parameter {word} has no value.", hint=f"Write it as {word} VALUE.")
            elif not alone:
                text = waiting.pop(0)
        yield key, text


def read_lifetime(ttl: str | None, until: str | None, zone: tzinfo) -> tuple[str | None, datetime | None]:
    """The lifetime as the API wants it: a checked duration, or a moment in UTC. Raises `InvalidLifetime`."""
    if ttl is not None and until is not None:
        raise InvalidLifetime("Give either a lifetime (--ttl) or a moment (--until), not both.")
    if ttl is not None:
        parse_duration(ttl)
    return ttl, None if until is None else parse_moment(until, zone)
