"""Nomad's answers, converted into the records of `ports`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from environments.providers.nomad.ports import (
    ASKS_TO_END,
    Allocation,
    Edit,
    GivenPort,
    JobPlan,
    Rollout,
    Task,
    TaskEvent,
)
from environments.steps.cluster_events import SeenTask

_REPLACING = "create/destroy update"
_DRIVERS = "missing drivers"
_NETWORKS = "missing network"
_PLUGINS = "${attr.plugins.cni.version."
"""How the constraints begin that Nomad adds to groups in bridge mode."""
_KILLED = 137
"""The exit code of a container that ended by SIGKILL."""


def allocation(item: Mapping[str, Any]) -> Allocation:
    """An allocation of a list (Nomad API, `AllocListStub`)."""
    deployment = item.get("DeploymentStatus") or {}
    return Allocation(
        id=item["ID"],
        job_version=item["JobVersion"],
        group=item["TaskGroup"],
        desired=item["DesiredStatus"],
        client=item["ClientStatus"],
        healthy=deployment.get("Healthy"),
        replaced=bool(item.get("NextAllocation") or item.get("FollowupEvalID")),
        tasks=tuple(_task(name, state) for name, state in sorted((item.get("TaskStates") or {}).items())),
    )


def given_ports(item: Mapping[str, Any]) -> list[GivenPort]:
    """The ports of an allocation of a list with resources (Nomad API, `AllocListStub`)."""
    shared = (item.get("AllocatedResources") or {}).get("Shared") or {}
    dynamic = {
        (port["Label"], port["Value"])
        for network in shared.get("Networks") or ()
        for port in network.get("DynamicPorts") or ()
    }
    return [
        GivenPort(port.get("HostIP") or "", port["Value"], (port["Label"], port["Value"]) in dynamic)
        for port in shared.get("Ports") or ()
    ]


def rollout(found: Mapping[str, Any]) -> Rollout:
    """A deployment (Nomad API, `Deployment`)."""
    groups: dict[str, dict[str, Any]] = found.get("TaskGroups") or {}
    waiting = {
        name: state for name, state in groups.items() if state.get("DesiredCanaries") and not state.get("Promoted")
    }
    return Rollout(
        job_version=found["JobVersion"],
        status=found["Status"],
        description=found.get("StatusDescription") or "",
        id=found["ID"],
        unpromoted={name: state["DesiredCanaries"] for name, state in waiting.items()},
        canaries=frozenset(placed for state in waiting.values() for placed in state.get("PlacedCanaries") or ()),
        promotes_itself=bool(waiting) and all(state.get("AutoPromote") for state in waiting.values()),
    )


def why_unplaced(metric: Mapping[str, Any]) -> str:
    """The counts of an allocation metric in words (Nomad API, `AllocationMetric`)."""
    reasons = []
    if not metric.get("NodesEvaluated"):
        reasons.append("no node is in the job's datacenters and node pool and takes new work")
    for name, count in (metric.get("ConstraintFiltered") or {}).items():
        why = "its drivers" if name == _DRIVERS else f"what it asks for: {name}"
        reasons.append(f"{_nodes(count)} {'lacks' if count == 1 else 'lack'} {why}")
    for name, count in (metric.get("ClassFiltered") or {}).items():
        reasons.append(f"{_nodes(count)} of class {name} {'does' if count == 1 else 'do'} not fit")
    for name, count in (metric.get("DimensionExhausted") or {}).items():
        reasons.append(f"{_nodes(count)} {'has' if count == 1 else 'have'} no room for {name}")
    return ", ".join(reasons) or "the scheduler gives no reason"


def lacks_drivers(metric: Mapping[str, Any]) -> bool:
    """Whether every node that was considered lacks the drivers."""
    lacking: int = (metric.get("ConstraintFiltered") or {}).get(_DRIVERS, 0)
    return 0 < lacking == metric.get("NodesEvaluated")


def lacks_bridge(metric: Mapping[str, Any]) -> bool:
    """Whether every node that was considered lacks what bridge mode needs: CNI plugins, or the kernel's bridge."""
    filtered = metric.get("ConstraintFiltered") or {}
    lacking: int = sum(count for name, count in filtered.items() if name == _NETWORKS or name.startswith(_PLUGINS))
    return 0 < lacking == metric.get("NodesEvaluated")


def _nodes(count: int) -> str:
    return f"{count} node{'s' * (count != 1)}"


def job_plan(answer: Mapping[str, Any]) -> JobPlan:
    """The edits of a plan's `Diff` (Nomad API, `JobDiff`), and the groups whose instances it would replace."""
    diff = answer.get("Diff") or {}
    groups = diff.get("TaskGroups") or []
    replaced = frozenset(group["Name"] for group in groups if (group.get("Updates") or {}).get(_REPLACING))
    return JobPlan(tuple(_edits(diff, ())), replaced)


def _task(name: str, state: Mapping[str, Any]) -> Task:
    return Task(name, state.get("State") or "pending", bool(state.get("Failed")), tuple(_events(state)))


def _events(state: Mapping[str, Any]) -> Iterator[TaskEvent]:
    asked_to_end = False
    for event in state.get("Events") or ():
        kind = event["Type"]
        if kind in ASKS_TO_END:
            asked_to_end = True
        from_outside = kind == "Terminated" and not asked_to_end and _was_killed(event)
        if kind in ("Started", "Terminated"):
            asked_to_end = False
        message = event.get("DisplayMessage") or event.get("Message") or ""
        yield TaskEvent(event["Time"], kind, message, _bad(event), from_outside)


def _was_killed(event: Mapping[str, Any]) -> bool:
    details = event.get("Details") or {}
    return event.get("ExitCode") == _KILLED and details.get("oom_killed") != "true"


def _bad(event: Mapping[str, Any]) -> bool:
    return bool(
        event.get("FailsTask")
        or event.get("ExitCode")
        or event["Type"] in ("Driver Failure", "Setup Failure", "Not Restarting", "Template Failed")
    )


def _edits(block: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[Edit]:
    for field in block.get("Fields") or ():
        if field["Type"] != "None":
            old = None if field["Type"] == "Added" else field["Old"]
            new = None if field["Type"] == "Deleted" else field["New"]
            yield Edit(place, field["Name"], old, new)
    for prefix, blocks in (("", "Objects"), ("group ", "TaskGroups"), ("task ", "Tasks")):
        for inner in block.get(blocks) or ():
            there = (*place, f"{prefix}{inner['Name']}")
            if inner["Type"] == "Edited":
                # For some fields, such as the arguments of a check, Nomad reports only that the block around them
                # differs.
                yield from list(_edits(inner, there)) or [Edit((*there, *_named(inner)), "", "", "")]
            elif inner["Type"] != "None":
                # An added or removed block is one edit, however many fields it has.
                content = hashlib.sha256(json.dumps(inner, sort_keys=True).encode()).hexdigest()
                yield Edit(
                    (*there, *_named(inner)),
                    "",
                    content if inner["Type"] == "Deleted" else None,
                    content if inner["Type"] == "Added" else None,
                )


def _named(block: Mapping[str, Any]) -> Iterator[str]:
    """The name that distinguishes a block from others of its kind, if it has one."""
    for field in block.get("Fields") or ():
        if field["Name"] in ("Name", "DestPath") and block["Name"] in ("Service", "Template"):
            yield field["New"] or field["Old"]


def seen_task(task: Task) -> SeenTask:
    """A task's state for the judgement of its health, from its events."""
    asked, failed_at, failure, started_at = False, 0, "", 0
    for event in task.events:
        if event.kind in ASKS_TO_END:
            asked = True
        elif event.failed and event.kind != "Not Restarting" and not asked:
            failed_at, failure = event.at, event.message or event.kind
        if event.kind in ("Started", "Terminated"):
            asked = False
        if event.kind == "Started":
            started_at = event.at
    begun = any(event.kind != "Received" for event in task.events)
    return SeenTask(task.name, task.state, begun, failed_at, failure, started_at)
