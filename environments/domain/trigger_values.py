"""References in the texts of triggers: `{{ event.FIELD }}`, `{{ parameters.NAME }}` and `{{ environment.name }}`.

A reference is replaced by its value as text, in one pass, and the result is never read again: values come from
strangers. A text that is one reference and nothing else takes the type of its value. No other expressions exist here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_RESULT = 10_000
"""Characters of a text after its references were replaced."""

OPEN, _CLOSE = "{{", "}}"
_NAME = re.compile(r"(?:(event|parameters)\.([A-Za-z_][A-Za-z0-9_-]{0,99})|environment\.name)")


class Unresolved(ValueError):
    """A reference that stands for nothing here, or a text that becomes too long. Its text is one sentence."""


@dataclass(frozen=True)
class Values:
    """What references stand for. `environment` is None where a trigger acts on none, such as one that creates it."""

    event: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environment: str | None = None

    def get(self, reference: str) -> Any:
        """The value of what stands between the braces. Raises `Unresolved`."""
        found = _NAME.fullmatch(reference)
        if found is None:
            raise Unresolved(f"{_shown(reference)} is no reference: {WRITTEN}.")
        where, name = found[1], found[2]
        if where is None:
            if self.environment is None:
                raise Unresolved("There is no environment whose name environment.name could be.")
            return self.environment
        values = self.event if where == "event" else self.parameters
        if name not in values:
            what = "The event has no field" if where == "event" else "The environment has no parameter"
            raise Unresolved(f"{what} {name!r}.")
        return values[name]


WRITTEN = "write event.FIELD, parameters.NAME or environment.name between the braces"
"""What a reference may be."""


def resolve(text: str, values: Values) -> Any:
    """The text with its references replaced; the value itself if the text is one reference. Raises `Unresolved`."""
    if OPEN not in text and len(text) <= LONGEST_RESULT:
        return text
    pieces = list(_pieces(text))
    if len(pieces) == 1 and pieces[0][1]:
        value = values.get(pieces[0][0])
        return list(value) if isinstance(value, tuple) else value
    parts: list[str] = []
    size = 0
    for piece, reference in pieces:
        part = as_text(values.get(piece)) if reference else piece
        size += len(part)
        if size > LONGEST_RESULT:
            raise Unresolved(f"The text {_shown(text)} has more than {LONGEST_RESULT} characters with its values.")
        parts.append(part)
    return "".join(parts)


def resolve_text(text: str, values: Values) -> str:
    """Likewise, but always a text. Raises `Unresolved`."""
    return as_text(resolve(text, values))


def resolve_all(value: Any, values: Values) -> Any:
    """A JSON value with the references in all its texts replaced; keys stay as they are. Raises `Unresolved`."""
    if isinstance(value, str):
        return resolve(value, values)
    if isinstance(value, Mapping):
        return {key: resolve_all(part, values) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [resolve_all(part, values) for part in value]
    return value


def references(value: Any) -> Iterator[str]:
    """What stands between the braces in all texts of a JSON value."""
    if isinstance(value, str):
        yield from (piece for piece, reference in _pieces(value) if reference)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from references(part)


def reference_fault(reference: str, *, environment: bool) -> str:
    """Why that can't stand between braces; empty if it can. `environment`: whether the trigger acts on one."""
    found = _NAME.fullmatch(reference)
    if found is None:
        return f"{_shown(reference)} is no reference; {WRITTEN}"
    if found[1] != "event" and not environment:
        return f"{reference} stands for nothing here: there is no environment yet"
    return ""


def as_text(value: Any) -> str:
    """A value as it stands in a text: JSON's words for booleans, lists with commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(as_text, value))
    return "" if value is None else str(value)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is what stands between braces. Braces that aren't closed are text."""
    at = 0
    while (start := text.find(OPEN, at)) >= 0:
        end = text.find(_CLOSE, start + len(OPEN))
        if end < 0:
            break
        if start > at:
            yield text[at:start], False
        yield text[start + len(OPEN) : end].strip(), True
        at = end + len(_CLOSE)
    if at < len(text):
        yield text[at:], False


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:59]}…")
