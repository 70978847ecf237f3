"""Describes what registering a job would change, in lines for people."""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from environments.domain.plan import Action, Change
from environments.providers.nomad.done import RUN, Completion
from environments.providers.nomad.fields import DOLLAR, typed
from environments.providers.nomad.ports import Edit, Job, JobPlan, Rollout
from environments.providers.nomad.rules import services
from environments.providers.nomad.scaling import COUNTS
from environments.steps.changes import change, moved, shown

RETRY = "calvinverse-retry"
"""Key of a job's metadata that makes Nomad restart a failed version; its value is that version."""

Place = tuple[tuple[str, ...], str]
"""An edit's `place` and `field`."""

_EACH_TIME = "(another value each time)"
_AGAIN = "runs again"
_PLAIN = {"Count": "count", "Type": "type"}
"""Fields that have another name in a job file than in the API."""


def why_again(completion: Completion) -> str | None:
    """Why a job that runs to completion runs again, in words; None for other jobs."""
    if not completion.applies:
        return None
    return "runs again, as requested" if completion.run_again else _AGAIN


def created(kind: str, address: str, job: Job, other: Job, again: str | None = None) -> Change:
    """The plan of a job that doesn't exist; `again` says that such a job has run.

    `other` is the job from reading the same file again: differences between the two aren't part of the fingerprint.
    """
    lines = [*([again] if again else ()), *_contents(job)]
    return change(Action.CREATE, kind, address, after=_steady(job, other), details=lines)


def restless(plan: JobPlan, other: JobPlan) -> frozenset[Place]:
    """Places whose value changes each time that the job file is read: the differences of two plans of one file."""
    one, two = (_values(found.edits) for found in (plan, other))
    return frozenset(place for place, values in one.items() if two.get(place) != values)


def of_another_kind(present: Job, wanted: Job) -> bool:
    """Whether Nomad refuses to change one job into the other: it has another type, or is started in another way."""
    started = any(bool(present.get(field)) != bool(wanted.get(field)) for field in ("Periodic", "ParameterizedJob"))
    return started or present.get("Type") != wanted.get("Type")


def whole(plan: JobPlan, present: Job, wanted: Job) -> JobPlan:
    """The plan with the edit of the job's spreads added, which makes a new version but isn't reported by Nomad."""
    before, after = present.get("Spreads") or None, wanted.get("Spreads") or None
    edits = [] if before == after else [Edit(("Spread",), "", json.dumps(before), json.dumps(after))]
    return replace(plan, edits=(*plan.edits, *edits))


def changed(
    kind: str,
    address: str,
    plan: JobPlan,
    again: str | None = None,
    restless: Set[Place] = frozenset(),
    *,
    replaces: bool = False,
) -> list[Change]:
    """The plan of an existing job; empty if nothing differs.

    `again` says why it runs again. Values in `restless` places aren't part of the fingerprint. `replaces`: the job is
    destroyed and created again.
    """
    if not plan.edits:
        return []
    # The fingerprint depends on all differences, including those that aren't shown, and on nothing else.
    # In particular it doesn't depend on which request runs the job again.
    wish = f"Meta[{RUN}]"
    edits = [replace(edit, new=_EACH_TIME) if _place(edit) in restless else edit for edit in plan.edits]
    differing = sorted(
        [_steadily(edit), edit.field, *((edit.old, edit.new) if edit.field != wish else ("", ""))] for edit in edits
    )
    lines = [
        *([again] if again else ()),
        *(line for line in dict.fromkeys(_lines(edits)) if not (again and line == _AGAIN)),
        *(_replacing(group) for group in sorted(plan.replaced)),
    ]
    action = Action.REPLACE if replaces else Action.CHANGE
    return [change(action, kind, address, after=differing, details=lines)]


def promoted(kind: str, address: str, rollout: Rollout) -> Change:
    """The plan of a job that is up to date except for the promotion of its canaries."""
    line = f"version {rollout.job_version} is promoted: it takes the place of the version before"
    return change(Action.CHANGE, kind, address, after=["promote", rollout.job_version], details=[line])


def _steady(one: Any, other: Any) -> Any:
    """The common parts of two JSON values."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {key: _steady(value, other.get(key)) for key, value in one.items()}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [_steady(*pair) for pair in zip(one, other, strict=True)]
    return one if one == other else _EACH_TIME


def _values(edits: Sequence[Edit]) -> dict[Place, list[str | None]]:
    found: dict[Place, list[str | None]] = {}
    for edit in edits:
        found.setdefault(_place(edit), []).append(edit.new)
    return found


def _place(edit: Edit) -> Place:
    return edit.place, edit.field


def _steadily(edit: Edit) -> list[str]:
    """The edit's place. For a new block that changes each time it has no name, because the name may be what changes."""
    new = edit.field == "" and edit.old is None and edit.new == _EACH_TIME
    return list(edit.place[:-1] if new else edit.place)


def _contents(job: Job) -> Iterator[str]:
    if job.get("Type") not in (None, "service"):
        yield f"type: {job['Type']}"
    for group in job.get("TaskGroups") or ():
        yield f"group {group['Name']}, count: {group.get('Count')}"
        for task in group.get("Tasks") or ():
            if image := (task.get("Config") or {}).get("image"):
                yield f"group {group['Name']}, task {task['Name']}, image: {shown(image)}"
    for service in services(job):
        yield f"service: {service['Name']}"


def _lines(edits: Sequence[Edit]) -> Iterator[str]:
    for edit in edits:
        if edit.field in (f"Meta[{DOLLAR}]", f"Meta[{RUN}]", f"Meta[{COUNTS}]"):
            continue
        # For a template only its place is reported, because its text may be long.
        if "Template" in edit.place:
            yield _template(edit)
        elif edit.field == "Stop" and not edit.place:
            yield _AGAIN if edit.old == "true" else "stops"
        elif edit.field == f"Meta[{RETRY}]":
            yield f"version {edit.new} has failed and will be started again"
        elif edit.field == "":
            verb = "is added" if edit.old is None else "is removed" if edit.new is None else "is changed"
            yield f"{_where(edit)} {verb}"
        else:
            yield moved(_where(edit), typed(edit.old or ""), typed(edit.new or ""))


def _template(edit: Edit) -> str:
    index = edit.place.index("Template")
    where = ", ".join(edit.place[:index])
    name = " ".join(["template", *edit.place[index + 1 :]])
    verb = "changed" if edit.field or None not in (edit.old, edit.new) else "added" if edit.old is None else "removed"
    return f"{where}, {name} {verb}" if where else f"{name} {verb}"


def _where(edit: Edit) -> str:
    # `image` is clear without its `config` block.
    blocks = [block for block in edit.place if block != "Config"]
    return ", ".join([*blocks, _PLAIN.get(edit.field, edit.field)] if edit.field else blocks)


def _replacing(group: str) -> str:
    return f"group {group}: its instances are replaced"
