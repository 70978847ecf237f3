"""Generates other values of the same shape, to find out which parts of a job depend on the given values."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from environments.providers.nomad.marked_values import decoded, encoded


@dataclass(frozen=True)
class _Way:
    """One way to vary a value: a function for each type of its parts."""

    number: Callable[[Any], Any] = lambda number: number
    truth: Callable[[bool], bool | None] = lambda truth: truth
    text: Callable[[str], str | None] = lambda text: text
    items: Callable[[list[Any]], list[Any]] = lambda items: items
    more_keys: bool = False
    nothing: Any = None


def _as_long(text: str) -> str:
    return "".join("y" if sign == "x" else "x" for sign in text)


def _longer(text: str) -> str:
    return f"{_as_long(text)}xyz"


def _other_digits(text: str) -> str:
    return re.sub(r"\d", lambda found: "2" if found[0] == "1" else "1", text)


def _more_digits(text: str) -> str:
    return re.sub(r"\d+", lambda found: f"{found[0]}1", text)


def _flip(truth: bool) -> bool:
    return not truth


def _twice(items: list[Any]) -> list[Any]:
    return items * 2


def _fewer(items: list[Any]) -> list[Any]:
    return items[:1]


_GROWING = 3
"""The depth to which items of lists and objects are copied: each level multiplies the copies.

Deeper ones grow by one.
"""

_WAYS = (
    _Way(lambda number: 2 if number == 1 else 1, _flip, _as_long),
    _Way(lambda number: number + 1, _flip, _longer, _twice, more_keys=True),
    _Way(lambda number: number + 1000, lambda _: True, _other_digits),
    _Way(lambda _: 0, lambda _: False, items=_twice),
    _Way(lambda number: -number - 7, text=_more_digits, more_keys=True),
    _Way(lambda number: number + 1, _flip, items=_fewer),
    _Way(lambda _: 0, _flip, _longer, lambda _: []),
    _Way(text=_longer, nothing=1),
    _Way(lambda _: None, lambda _: None, lambda _: None, nothing=1),
)


def aspects(value: Any) -> set[str]:
    """The ways in which a value can be varied: `number`, `truth`, `text`, `length`, `items`, `keys`."""
    found: set[str] = set()
    for part in _parts(value):
        if isinstance(part, bool):
            found.add("truth")
        elif isinstance(part, int | float):
            found.add("number")
        elif isinstance(part, str):
            found |= {"text", "length"} if part else {"length"}
        elif isinstance(part, list | tuple) and part:
            found.add("items")
        elif isinstance(part, Mapping) and part:
            found.add("keys")
    return found


def others(value: Any) -> Iterator[tuple[Any, set[str]]]:
    """Other values of the same shape, each with the aspects in which it differs."""
    for way in _WAYS:
        changes: set[str] = set()
        yield _changed(value, way, changes, 0), changes


def _parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)


def _changed(value: Any, way: _Way, changes: set[str], depth: int) -> Any:
    if value is None:
        return way.nothing
    if isinstance(value, str):
        return _changed_text(value, way, changes, depth)
    if isinstance(value, bool | int | float):
        kind = "truth" if isinstance(value, bool) else "number"
        other = way.truth(value) if isinstance(value, bool) else way.number(value)
        changes |= {kind} if other != value else set()
        return other
    if isinstance(value, Mapping):
        other = {key: _changed(item, way, changes, depth + 1) for key, item in value.items()}
        if way.more_keys and other:
            changes.add("keys")
            more = other if depth < _GROWING else {key: _without_items(other[key]) for key in [*other][:1]}
            other |= {f"{key}xyz": item for key, item in more.items()}
        return other
    if isinstance(value, list | tuple):
        items = [_changed(item, way, changes, depth + 1) for item in value]
        if way.items is _twice and depth >= _GROWING:
            other = [*items, *map(_without_items, items[:1])]
        else:
            other = way.items(items)
        changes |= {"items"} if len(other) != len(value) else set()
        return other
    return value


def _without_items(value: Any) -> Any:
    """The value, or an empty list or object in its place, so that an added item has no copies of its content."""
    return type(value)() if isinstance(value, list | dict) else value


def _changed_text(text: str, way: _Way, changes: set[str], depth: int) -> str | None:
    """Changes a text inside of its JSON or base64, so that the job file can still decode it."""
    other: str | None
    if text.lstrip().startswith(("{", "[", '"')) and (held := _held(text)) is not None:
        changed = _changed(held, way, set(), depth + 1)
        # Equal JSON in other white space is no other value.
        other = _changed_json(text, held, way) if changed == held else json.dumps(changed, ensure_ascii=False)
    elif inside := decoded(text):
        found = _changed_text(inside, way, set(), depth + 1)
        other = None if found is None else encoded(found)
    else:
        other = way.text(text)
    if other != text:
        changes.add("text")
    if other is None or len(other) != len(text):
        changes.add("length")
    return other


def _changed_json(text: str, held: Any, way: _Way) -> str | None:
    """Another text in place of JSON in which the way changes nothing, because an empty list or object has no parts.

    It is JSON with one item, or no JSON, or equal JSON: a job file can read at least one of these, whether it decodes
    the text or not.
    """
    if held == [] and way.items is _twice:
        return "[1]"
    if held == {} and way.more_keys:
        return '{"xyz": 1}'
    other = way.text(text)
    return f" {text}" if other == text else other


def _held(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
