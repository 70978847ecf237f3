"""How two jobs differ, told in the shape in which the adapter of the real Nomad tells it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from environments.providers.nomad.ports import Edit, Job, JobPlan

_OF_NOMAD = frozenset({"JobModifyIndex", "Version", "Stop", "Status", "NomadTokenID"})
"""Fields of a registered job that no job file has."""

_BLOCKS = {"TaskGroups": "group ", "Tasks": "task ", "Services": "Service", "Templates": "Template"}
_IN_PLACE = frozenset({"Count"})
"""Fields of a group that change without its instances being replaced."""


def specification(job: Job) -> Job:
    """A registered job as it was given."""
    return {key: value for key, value in job.items() if key not in _OF_NOMAD}


def plan_of(present: Job, wanted: Job) -> JobPlan:
    """The edits from a registered job to another one."""
    edits = list(_edits(specification(present), specification(wanted), ()))
    groups = {group["Name"] for group in wanted["TaskGroups"]}
    touched = {
        edit.place[0].removeprefix("group ")
        for edit in edits
        if edit.place and edit.field not in _IN_PLACE and not edit.place[-1].startswith("Service")
    }
    whole = any(not edit.place for edit in edits)
    if present["Stop"]:
        # Nothing of it runs, so there is nothing to be replaced.
        return JobPlan((Edit((), "Stop", "true", "false"), *edits))
    return JobPlan(tuple(edits), frozenset(groups if whole else touched & groups))


def _edits(old: Mapping[str, Any], new: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[Edit]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if key in _BLOCKS:
            yield from _blocks(_BLOCKS[key], before or [], after or [], place)
        elif key in ("Meta", "Env"):
            for name in sorted({**(before or {}), **(after or {})}):
                one, other = (before or {}).get(name), (after or {}).get(name)
                if one != other:
                    yield Edit(place, f"{key}[{name}]", one, other)
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _edits(before, after, (*place, key))
        else:
            yield Edit(place, key, _text(before), _text(after))


def _blocks(kind: str, old: list[Any], new: list[Any], place: tuple[str, ...]) -> Iterator[Edit]:
    before, after = ({_name(block): block for block in blocks} for blocks in (old, new))
    for name in {**before, **after}:
        one, other = before.get(name), after.get(name)
        there = (*place, f"{kind}{name}") if kind.endswith(" ") else (*place, kind)
        if one is not None and other is not None:
            yield from _edits(one, other, there)
        else:
            there = there if kind.endswith(" ") else (*there, name)
            yield Edit(there, "", one and _content(one), other and _content(other))


def _name(block: Mapping[str, Any]) -> str:
    return str(block.get("Name") or block.get("DestPath"))


def _content(block: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(block, sort_keys=True).encode()).hexdigest()


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
