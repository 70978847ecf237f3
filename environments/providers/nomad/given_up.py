"""Decides whether Nomad has given up a job: instances are missing, and Nomad won't start them by itself."""

import time
from collections import Counter
from collections.abc import Sequence

from environments.providers.nomad.ports import SLICE, Allocation, Job, NomadApi, Rollout

_ENDED_BADLY = ("failed", "cancelled")


def given_up(nomad: NomadApi, namespace: str, present: Job) -> bool:
    """Whether Nomad has given up the registered version of the job, or an instance of it.

        Nomad deletes ended allocations. So a job counts as given up, too, if fewer instances run than it wants and no
    evaluation is waiting.
    """
    name, version = present["ID"], present.get("Version", 0)
    rollout = nomad.rollout(namespace, name)
    if rollout is not None and rollout.job_version == version and rollout.status in _ENDED_BADLY:
        return True
    if rollout is not None and rollout.status != "successful":
        waits = rollout.job_version == version and rollout.awaits_promotion
        return waits and canary_given_up(nomad, namespace, name, rollout)
    index, allocations = nomad.allocations(namespace, name)
    # Nomad decides a moment after a failure whether it starts another one: wait for that change.
    end = time.monotonic() + SLICE
    while _lacks(present, allocations):
        left = end - time.monotonic()
        if left <= 0:
            return not nomad.goes_on(namespace, name)
        index, allocations = nomad.allocations(namespace, name, index=index, wait=left)
    return False


def canary_given_up(nomad: NomadApi, namespace: str, job: str, rollout: Rollout) -> bool:
    """Whether a canary has failed and Nomad won't start another one, although its deployment is still running."""
    index, allocations = nomad.allocations(namespace, job)
    end = time.monotonic() + SLICE
    while failed_for_good([found for found in allocations if found.id in rollout.canaries]):
        left = end - time.monotonic()
        if left <= 0:
            return not nomad.goes_on(namespace, job)
        index, allocations = nomad.allocations(namespace, job, index=index, wait=left)
    return False


def failed_for_good(allocations: Sequence[Allocation]) -> bool:
    """Whether one of the allocations has failed and, according to them, was not and won't be replaced."""
    return any(
        found.client in ("failed", "lost") and found.desired == "run" and not found.replaced for found in allocations
    )


def _lacks(present: Job, allocations: Sequence[Allocation]) -> bool:
    version = present.get("Version", 0)
    if failed_for_good([found for found in allocations if found.job_version == version]):
        return True
    if present.get("Type") != "service" or present.get("Periodic") or present.get("ParameterizedJob"):
        return False
    there = Counter(found.group for found in allocations if found.desired == "run" and not found.terminal)
    return any(there[group["Name"]] < (group.get("Count") or 0) for group in present.get("TaskGroups") or ())
