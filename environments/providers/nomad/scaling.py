"""Stops a job without removing it: all its groups get the count 0, and its metadata keep the counts from before.

The job stays registered, so that its places stay claimed and a start finds what to go back to. Nomad doesn't forget
it: it forgets jobs that are stopped, and those that ran to their end.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from environments.domain.errors import InvalidJob
from environments.providers.nomad.done import ends_by_itself
from environments.providers.nomad.namespace import whose_job
from environments.providers.nomad.ports import Job, NomadApi
from environments.providers.nomad.stopping import POSTSTOP_PATIENCE, wait_until_ended
from environments.steps.base import Owner, Presence, StepRun

COUNTS = "calvinverse-counts"
"""Key of the metadata of a stopped job: the counts of its groups before it was stopped, as JSON."""

_REGISTRATIONS = 5
_STARTED_BY = ("/periodic-", "/dispatch-")
"""What the name of a run of a periodic or parameterized job has after the job's."""


def stopped(job: Job) -> Job:
    """The job as it is registered while its environment is stopped; the same again for one that is.

    Its groups have no instances, it starts none on a schedule, and nothing scales it.
    """
    groups = [_empty(group) for group in job.get("TaskGroups") or ()]
    former = former_counts(job)
    counts = counts_of(job) if former is None else former
    meta = {**(job.get("Meta") or {}), COUNTS: json.dumps(counts, sort_keys=True)}
    periodic = job.get("Periodic")
    schedule = {"Periodic": {**periodic, "Enabled": False}} if periodic else {}
    return {**job, "TaskGroups": groups, "Meta": meta, **schedule}


def what_runs(present: Job) -> list[str]:
    """What of a registered job runs although its environment is stopped, as lines of a plan; empty if nothing does."""
    if present.get("Stop") or ends_by_itself(present):
        return []
    lines = [f"group {name}, count: {count} → 0" for name, count in counts_of(present).items() if count]
    if (present.get("Periodic") or {}).get("Enabled"):
        lines.append("its schedule starts runs")
    return lines


def former_counts(present: Job | None) -> dict[str, int] | None:
    """The counts that a stopped job had before, by group; None if it isn't stopped in this way."""
    kept = ((present or {}).get("Meta") or {}).get(COUNTS)
    if kept is None:
        return None
    try:
        found = json.loads(kept)
    except ValueError:
        return {}
    return {name: count for name, count in found.items() if isinstance(count, int)} if isinstance(found, dict) else {}


def counts_of(job: Job) -> dict[str, int]:
    """The counts of the job's groups."""
    return {group["Name"]: group.get("Count") or 0 for group in job.get("TaskGroups") or ()}


def started(job: Job, present: Job | None) -> Job:
    """The job that a start registers: each group gets the count that it had before the stop.

    If the start has been begun before, that is the count that it has; 0 then says nothing.
    """
    kept = former_counts(present)
    known = {name: count for name, count in counts_of(present or {}).items() if count} if kept is None else kept
    groups = [{**group, "Count": known.get(group["Name"], group.get("Count"))} for group in job.get("TaskGroups") or ()]
    return {**job, "TaskGroups": groups}


def stop_job(
    nomad: NomadApi, namespace: str, name: str, owner: Owner, run: StepRun, patience: timedelta = POSTSTOP_PATIENCE
) -> None:
    """Scales the job to zero and waits until all that it started has ended. A job that is absent or foreign is left.

    A job that runs to its end isn't started again, so it is stopped in Nomad's way if it still runs. Raises
    `StepTimeout`, which names the running tasks.
    """
    present = nomad.job(namespace, name)
    if present is None or whose_job(present, namespace, owner) is not Presence.OURS:
        return
    if ends_by_itself(present):
        if nomad.running(namespace).get(name):
            run.before_effect()
            nomad.deregister(namespace, name, purge=False)
    else:
        _scale(nomad, namespace, present, run)
    runs = [job for job in nomad.jobs(namespace) if job.startswith(tuple(name + part for part in _STARTED_BY))]
    running = nomad.running(namespace)
    for job in runs:
        if running.get(job):
            run.before_effect()
            nomad.deregister(namespace, job, purge=False)
    for job in (name, *(job for job in runs if running.get(job))):
        wait_until_ended(nomad, namespace, job, run, patience)


def _scale(nomad: NomadApi, namespace: str, present: Job | None, run: StepRun) -> None:
    for attempt in range(_REGISTRATIONS):
        if present is None or present.get("Stop"):
            return
        wanted = stopped(present)
        if wanted == present:
            return
        run.before_effect()
        index = present["JobModifyIndex"]
        try:
            nomad.register(namespace, wanted, index)
        except InvalidJob:
            # Somebody else has registered it in between: read it again.
            present = nomad.job(namespace, wanted["ID"])
            if attempt == _REGISTRATIONS - 1 or (present is not None and present["JobModifyIndex"] == index):
                raise
            continue
        run.log(f"job {wanted['ID']} scaled to zero in namespace {namespace}")
        return


def _empty(group: Mapping[str, Any]) -> dict[str, Any]:
    scaling = group.get("Scaling")
    # Nomad refuses a count below the smallest one of a scaling policy.
    policy = {"Scaling": {**scaling, "Enabled": False, "Min": 0}} if scaling else {}
    return {**group, "Count": 0, **policy}
