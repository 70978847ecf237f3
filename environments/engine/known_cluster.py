"""All jobs and critical checks that this process knows of: listings, kept up to date by later events."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from environments.domain.names import SERVICE_MARK
from environments.steps.cluster_events import Check, GoneJob, Happening, Listing, SeenInstance, SeenJob
from environments.steps.job_health import JobFacts

_ENDS = ("batch", "sysbatch")


class KnownCluster:
    """Jobs and checks by namespace, which is the environment's name. The owner of this object locks each use.

    Instances that have completed, were replaced, or were stopped and have ended aren't kept.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, SeenJob]] = {}
        self._instances: dict[str, dict[str, SeenInstance]] = {}
        self._checks: dict[str, list[Check]] = {}
        self._indexes: dict[tuple[str, str], int] = {}
        self._ends: dict[tuple[str, str], bool] = {}
        """Job → whether it runs to completion. Includes deleted jobs, but not runs of other jobs."""

    def list_jobs(self, listing: Listing) -> None:
        """Replaces all known jobs by those of a listing."""
        self._jobs, self._instances, self._indexes = defaultdict(dict), defaultdict(dict), {}
        self.take([*listing.jobs, *listing.instances])

    def take(self, happenings: Iterable[Happening]) -> set[str]:
        """Applies events that are newer than the known state; returns the namespaces that changed."""
        touched = set()
        for one in happenings:
            key = (one.namespace, one.id)
            if one.index < self._indexes.get(key, 0):
                continue
            self._indexes[key] = one.index
            touched.add(one.namespace)
            if isinstance(one, SeenJob):
                self._jobs.setdefault(one.namespace, {})[one.id] = one
                if not one.parent:
                    self._ends[key] = one.type in _ENDS and not one.starts_later
            elif isinstance(one, GoneJob):
                self._jobs.get(one.namespace, {}).pop(one.id, None)
            elif one.client == "complete" or (one.ended and (one.replaced or one.desired != "run")):
                self._instances.get(one.namespace, {}).pop(one.id, None)
            else:
                self._instances.setdefault(one.namespace, {})[one.id] = one
        return touched

    def list_checks(self, critical: Sequence[Check]) -> set[str]:
        """Replaces all critical checks; returns the names of the environments whose checks changed."""
        before, self._checks = self._checks, defaultdict(list)
        for check in critical:
            self._checks[check.service.partition(SERVICE_MARK)[0]].append(check)
        return {name for name in {*before, *self._checks} if before.get(name, []) != self._checks.get(name, [])}

    def facts(self, namespace: str, job: str, ended: bool | None = None) -> JobFacts:
        """The facts about a job. `ended`: whether it ran to completion, according to the database."""
        jobs = self._jobs.get(namespace, {})
        found = jobs.get(job)
        runs: dict[SeenJob, list[SeenInstance]] | None = None
        if found is not None and found.starts_later:
            runs = {run: self._of(namespace, run.id) for run in jobs.values() if run.parent == job}
        ends = self._ends.get((namespace, job), ended)
        return JobFacts(found, self._of(namespace, job), runs, may_be_forgotten=ends is not False)

    def job_of(self, namespace: str, service_id: str) -> str | None:
        """The job whose instance Nomad registered as that service; None if the instance no longer exists."""
        instances = self._instances.get(namespace, {}).values()
        return next((found.job for found in instances if found.id in service_id), None)

    def checks(self, environment: str) -> Sequence[Check]:
        """Critical checks of services with names of that environment."""
        return self._checks.get(environment, ())

    def _of(self, namespace: str, job: str) -> list[SeenInstance]:
        return [found for found in self._instances.get(namespace, {}).values() if found.job == job]
