"""The Nomad namespace of an environment: made before its first job, gone after its last."""

from typing import ClassVar

from environments.domain.errors import BackendError
from environments.domain.plan import Action, Change
from environments.executors.base import Observation, Owner, Presence, StepRun
from environments.executors.changes import change
from environments.executors.marks import ABSENT, foreign, mark, whose
from environments.executors.nomad_ports import Scheduler

NAMESPACE_KIND = "nomad.namespace"
SLICE = 1.0
"""Seconds that one blocking query waits at most, so that a step can be stopped."""

PAUSE = 0.05


def ensure_namespace(scheduler: Scheduler, owner: Owner, run: StepRun) -> None:
    """Makes the namespace, if it isn't there. Raises `ForeignResource`."""
    metadata = scheduler.namespace(owner.name)
    if metadata is None:
        run.before_effect()
        scheduler.write_namespace(owner.name, f"Environment {owner.name} of Calvinverse", mark(owner))
    elif whose(metadata, owner) is Presence.FOREIGN:
        raise foreign(f"a Nomad namespace {owner.name!r}", owner)


def plan_namespace(scheduler: Scheduler, owner: Owner) -> list[Change]:
    """What `ensure_namespace` would do. Raises `ForeignResource`."""
    metadata = scheduler.namespace(owner.name)
    if metadata is None:
        return [change(Action.CREATE, NAMESPACE_KIND, owner.name, after=mark(owner))]
    if whose(metadata, owner) is Presence.FOREIGN:
        raise foreign(f"a Nomad namespace {owner.name!r}", owner)
    return []


def stop_jobs(scheduler: Scheduler, namespace: str, jobs: list[str], run: StepRun) -> None:
    """Stops the jobs, waits until none of their allocations runs, then makes Nomad forget them.

    In this order, because Nomad forgets the allocations of a purged job while their containers still run.
    """
    for job in jobs:
        run.before_effect()
        scheduler.deregister(namespace, job, purge=False)
    for job in jobs:
        wait_until_stopped(scheduler, namespace, job, run)
        run.before_effect()
        scheduler.deregister(namespace, job, purge=True)


def wait_until_stopped(scheduler: Scheduler, namespace: str, job: str, run: StepRun) -> None:
    """Returns when all allocations of a stopped job have ended."""
    index, allocations = scheduler.allocations(namespace, job)
    while any(not allocation.terminal for allocation in allocations):
        run.before_effect()
        index, allocations = scheduler.allocations(namespace, job, index=index, wait=SLICE)


class NamespaceHandler:
    """Knows the namespace of an environment, by its name."""

    kind: ClassVar[str] = NAMESPACE_KIND

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def observe(self, address: str, owner: Owner) -> Observation:
        """Looks at the mark, and counts the jobs."""
        metadata = self._scheduler.namespace(address)
        if metadata is None:
            return ABSENT
        return Observation(whose(metadata, owner), f"{len(self._scheduler.jobs(address))} jobs")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Stops what still runs there (such as jobs that were dispatched), then removes variables and namespace."""
        metadata = self._scheduler.namespace(address)
        if metadata is None or whose(metadata, owner) is Presence.FOREIGN:
            return
        stop_jobs(self._scheduler, address, self._scheduler.jobs(address), run)
        for path in self._scheduler.variables(address):
            run.before_effect()
            self._scheduler.remove_variable(address, path)
        while True:
            run.before_effect()
            try:
                self._scheduler.remove_namespace(address)
                return
            except BackendError as error:
                # Nomad's servers learn of the end of an allocation a moment after its client.
                if error.transient or "non-terminal" not in error.message:
                    raise
                run.wait(PAUSE)
