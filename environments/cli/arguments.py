"""Reads arguments into what the API takes: parameters by the template's schema, lifetimes in the local zone."""

import sys
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from environments.domain.deadline import parse_duration, parse_moment
from environments.domain.errors import InvalidInput, InvalidLifetime, InvalidParameters
from environments.domain.flags import TAKEN
from environments.domain.json_values import is_text, parse_json
from environments.domain.suggesting import aside
from environments.schemas.typed import Unreadable, read_typed

_LONGEST_SHOWN = 60
"""Maximum of characters of a value in an error message."""


def read_parameters(
    schema: Mapping[str, Any], pairs: Sequence[str], rest: Sequence[str] = (), *, template: str
) -> dict[str, Any]:
    """Parameters from `-p key=value`, `-p @file` (a JSON object; `@-`: standard input) and `--key value`.

    Each value is read as its type in the schema (`environments.schemas.typed`), so `-p version=1.0` stays text where
    text is wanted. Ranges, and what is required, are the service's to check. Raises `InvalidParameters` that names
    every unknown or unreadable one, and repeats no value that is a secret.
    """
    known: Mapping[str, Any] = schema.get("properties", {})
    values: dict[str, Any] = {}
    faults: list[str] = []
    for key, text in (*_pairs(pairs, values), *_options(rest, known)):
        if key not in known:
            faults.append(f"there is no parameter {key!r}{_meant(key, known)}")
            continue
        try:
            values[key] = read_typed(text, known[key])
        except Unreadable as error:
            faults.append(f"{key}: {_shown(text, known[key])} {error}")
    faults += [f"there is no parameter {key!r}{_meant(key, known)}" for key in values if key not in known]
    if faults:
        raise InvalidParameters(
            f"The parameters don't fit the template {template!r}: {'; '.join(faults)}.",
            hint=f"It takes: {', '.join(known) or 'none'}. See `calvinverse template show {template}`.",
            details={"problems": faults},
        )
    return values


def _meant(key: str, known: Mapping[str, Any]) -> str:
    """A suggestion of the parameter or option that was meant."""
    options = [f"--{name.replace('_', '-')}" for name in TAKEN]
    return aside(key, known) or aside(f"--{key.replace('_', '-')}", options)


def _shown(text: str, schema: Mapping[str, Any]) -> str:
    """A value for an error message; secrets and values that aren't text are not repeated."""
    if is_secret(schema) or not is_text(text):
        return "the value"
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def is_secret(schema: Mapping[str, Any]) -> bool:
    """Whether a parameter is a secret."""
    return schema.get("writeOnly") is True


def _pairs(pairs: Sequence[str], values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        if pair.startswith("@"):
            values.update(_from_file(pair[1:]))
            continue
        key, equals, text = pair.partition("=")
        if not equals or not key:
            # Not repeated: it may be the value of a secret.
            raise InvalidInput(
                "What follows -p is not a parameter: it has no name, or no '='.",
                hint="Write it as -p key=value, or -p @file.json.",
            )
        yield key.strip(), text


def _from_file(name: str) -> dict[str, Any]:
    try:
        content = _standard_input() if name == "-" else Path(name).read_bytes()
        found = parse_json(content.removeprefix(BOM_UTF8))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"The parameters in {name!r} can't be read: {_reason(error)}.", hint="Write one JSON object in UTF-8."
        ) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{name!r} holds no JSON object.")
    return found


def _standard_input() -> bytes:
    """Standard input as bytes, if possible: how its encoding decodes invalid UTF-8 depends on the machine."""
    buffer = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read().encode() if buffer is None else bytes(buffer.read())


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _options(rest: Sequence[str], known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """`--key value`, `--key=value`, and `--key` alone for a boolean."""
    waiting = list(rest)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--") or word == "--":
            secret = any(map(is_secret, known.values()))
            raise InvalidInput(
                f"{'An argument' if secret or not is_text(word) else repr(word)} is one too many.",
                hint="Parameters are written as -p key=value.",
            )
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
    """The lifetime for the API: a checked duration, or a moment in UTC. Raises `InvalidLifetime`."""
    if ttl is not None and until is not None:
        raise InvalidLifetime(
            "Give either a lifetime (--ttl) or a moment (--until), not both.", hint="Leave one of the two out."
        )
    if ttl is not None:
        parse_duration(ttl)
    return ttl, None if until is None else parse_moment(until, zone)
