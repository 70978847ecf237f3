"""Finds the troubles of one environment's jobs and checks in the cluster's events."""

from collections.abc import Iterator
from datetime import datetime

from environments.engine.degraded_texts import short
from environments.engine.known_cluster import KnownCluster
from environments.service.storage.environments import Watched
from environments.steps.job_health import GRACE, RUN, Trouble, job_troubles

_OF_NOMAD = "_nomad-"
"""The beginning of the ids of services that Nomad registers; an id contains the allocation's id."""


def forgotten(world: KnownCluster, kind: str, watched: Watched) -> Iterator[tuple[str, str]]:
    """Kinds and addresses of jobs that are reported for a failed run and have started no run since.

    Nomad deletes runs after some hours. That doesn't end the trouble: only a successful run does.
    """
    for one in watched.degraded:
        namespace, _, name = one.address.partition("/")
        if one.kind == kind and one.reason.startswith(RUN) and namespace == watched.name:
            facts, since = world.facts(namespace, name), int(one.since.timestamp() * 1e9)
            there = facts.job is not None and facts.job.starts_later and not facts.job.stopped
            if there and not any(run.submitted > since for run in facts.runs or ()):
                yield one.kind, one.address


def troubles_of(
    world: KnownCluster, kind: str, watched: Watched, now: datetime
) -> Iterator[tuple[Trouble, str | None]]:
    """Each trouble with the step that made the resource, if known. `kind`: the kind of resources that are jobs."""
    since, until = (int(moment.timestamp() * 1e9) for moment in (watched.state_since, now))
    for address, step in watched.made.items():
        namespace, _, name = address.partition("/")
        if namespace == watched.name:
            facts = world.facts(namespace, name, watched.ended.get(address))
            for trouble in job_troubles(kind, address, facts, since, until):
                yield trouble, step
    for check in world.checks(watched.name):
        of = None
        if check.service_id.startswith(_OF_NOMAD):
            # The check of an ended instance will be removed soon; a check of a job that no step made is drift.
            of = f"{watched.name}/{world.job_of(watched.name, check.service_id)}"
            if of not in watched.made:
                continue
        # Nomad's default name of a check only repeats that of the service.
        named = check.check != f'service: "{check.service}" check'
        said = f"The check{f' {check.check!r}' if named else ''} of service {check.service!r} is critical"
        address = short(f"{check.service}/{check.check}" if named else check.service)
        yield Trouble(check.kind, address, said, check.output, GRACE), of and watched.made[of]
