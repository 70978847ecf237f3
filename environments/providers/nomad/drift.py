"""What no step made in an environment's Nomad namespace, and what happened to its containers."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from environments.domain.environment import Incident, ResourceRef, Unexpected
from environments.providers.nomad.incidents import KILLED_FROM_OUTSIDE, LIKELY_CAUSE, killed_from_outside
from environments.providers.nomad.namespace import NAMESPACE_KIND, whose_namespace
from environments.providers.nomad.ports import JOB_KIND, NomadApi
from environments.steps.base import Owner, Presence
from environments.steps.drift import Known, is_known, undeclared

ALLOCATIONS_KIND = "nomad.allocations"
VARIABLE_KIND = "nomad.variable"
VOLUME_KIND = "nomad.volume"


class NomadDriftDetector:
    """Detects jobs, allocations of deleted jobs, variables and volumes in the environment's namespace."""

    part: ClassVar[str] = "Nomad"

    def __init__(self, nomad: NomadApi) -> None:
        self._nomad = nomad

    def unexpected(self, owner: Owner, known: Known, steps: frozenset[str]) -> Sequence[Unexpected]:
        """Unexpected things in the namespace.

        For a foreign namespace only its presence is reported, not what is in it.
        """
        metadata = self._nomad.namespace(owner.name)
        if metadata is None:
            return ()
        if whose_namespace(metadata, owner) is Presence.FOREIGN:
            return [Unexpected(kind=NAMESPACE_KIND, address=owner.name, detail="doesn't bear this environment's mark")]
        outside = [] if is_known(known, NAMESPACE_KIND, owner.name) else [undeclared(NAMESPACE_KIND, owner.name)]
        return [*outside, *self._inside(owner.name, known)]

    def _inside(self, namespace: str, known: Known) -> Iterator[Unexpected]:
        jobs, running = self._nomad.jobs(namespace), self._nomad.running(namespace)
        for job in jobs:
            # A run of a periodic or parameterized job is named after that job and belongs to it.
            family = {job, job.partition("/periodic-")[0], job.partition("/dispatch-")[0]}
            if not any(is_known(known, JOB_KIND, f"{namespace}/{name}") for name in family):
                yield undeclared(JOB_KIND, f"{namespace}/{job}", _running(running.get(job, 0)))
        for job, count in running.items():
            if job not in jobs:
                yield undeclared(
                    ALLOCATIONS_KIND, f"{namespace}/{job}", f"{_running(count)} of a job that Nomad has forgotten"
                )
        for path in self._nomad.variables(namespace):
            yield undeclared(VARIABLE_KIND, f"{namespace}/{path}")
        for volume in self._nomad.volumes(namespace):
            yield undeclared(VOLUME_KIND, f"{namespace}/{volume}")


class NomadIncidentSource:
    """Reports what happened to the containers of an environment's jobs."""

    part: ClassVar[str] = "Nomad"

    def __init__(self, nomad: NomadApi) -> None:
        self._nomad = nomad

    def incidents(self, known: frozenset[ResourceRef]) -> Sequence[Incident]:
        """The incidents in Nomad's records: the last ten events of a task, and ended allocations for a time."""
        found = []
        for ref in sorted(known, key=lambda ref: ref.address):
            if ref.kind != JOB_KIND:
                continue
            namespace, _, job = ref.address.partition("/")
            for at, allocation, task in killed_from_outside(self._nomad.allocations(namespace, job)[1]):
                detail = f"task {task} of allocation {allocation[:8]}: {KILLED_FROM_OUTSIDE}. {LIKELY_CAUSE}."
                moment = datetime.fromtimestamp(at // 1000 / 1_000_000, UTC)
                found.append(Incident(at=moment, kind=JOB_KIND, address=ref.address, detail=detail))
        return found


def _running(count: int) -> str:
    return f"{count} allocation{' runs' if count == 1 else 's run'}"
