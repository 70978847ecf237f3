"""Converts a job to a flat map of its texts, and back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from environments.providers.nomad.fields import KEY, Path
from environments.providers.nomad.ports import Job


@dataclass(frozen=True)
class Leaves:
    """A job as a flat map: path → text or other value. A key has a path too, which ends in `KEY`."""

    texts: Mapping[Path, str]
    others: Mapping[Path, Any]


def leaves(job: Job, unmark: Callable[[str], str]) -> Leaves:
    """The map of a job; `unmark` converts its keys."""
    found: dict[Path, str] = {}
    others: dict[Path, Any] = {}
    for path, item in _walk(job, (), unmark):
        (found if isinstance(item, str) else others)[path] = item
    return Leaves(found, others)


def replaced(node: Any, path: Path, changed: Mapping[Path, str]) -> Any:
    """The job, or the part of it at `path`, with the texts of `changed`."""
    if isinstance(node, dict):
        return {key: replaced(item, (*path, key), changed) for key, item in node.items()}
    if isinstance(node, list):
        return [replaced(item, (*path, number), changed) for number, item in enumerate(node)]
    return changed.get(path, node)


def _walk(node: Any, path: Path, unmark: Callable[[str], str]) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, dict):
        yield path, len(node)
        for key, item in node.items():
            name = unmark(key)
            yield (*path, name, KEY), key
            yield from _walk(item, (*path, name), unmark)
    elif isinstance(node, list):
        yield path, len(node)
        for number, item in enumerate(node):
            yield from _walk(item, (*path, number), unmark)
    else:
        yield path, node
