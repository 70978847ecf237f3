"""The Nomad namespace of an environment: created before its first job, removed after its last job."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from environments.domain.counting import counted
from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendError
from environments.domain.plan import Action, Change
from environments.providers.nomad.ports import NomadApi
from environments.providers.nomad.stopping import POSTSTOP_PATIENCE, stop_jobs, time_to_stop
from environments.steps.base import Observation, Owner, Presence, StepRun
from environments.steps.changes import change
from environments.steps.marks import ABSENT, MARK, MENDS_MARK, foreign, mark, whose

NAMESPACE_KIND = "nomad.namespace"
PAUSE = 0.05


def ensure_namespace(nomad: NomadApi, owner: Owner, run: StepRun) -> list[ResourceRef]:
    """Creates the namespace or repairs its mark; returns the resources to record as held. Raises `ForeignResource`."""
    if plan_namespace(nomad, owner):
        run.before_effect()
        nomad.write_namespace(owner.name, f"Environment {owner.name} of Calvinverse", mark(owner))
    return owner.unheld(ResourceRef(kind=NAMESPACE_KIND, address=owner.name))


def plan_namespace(nomad: NomadApi, owner: Owner) -> list[Change]:
    """What `ensure_namespace` would do. Raises `ForeignResource`."""
    metadata = nomad.namespace(owner.name)
    if metadata is None:
        return [change(Action.CREATE, NAMESPACE_KIND, owner.name, after=mark(owner))]
    if whose_namespace(metadata, owner) is Presence.FOREIGN:
        raise foreign(f"a Nomad namespace {owner.name!r}", owner)
    if metadata.get(MARK) != owner.id:
        return [change(Action.CHANGE, NAMESPACE_KIND, owner.name, after=mark(owner), details=[MENDS_MARK])]
    return []


def whose_namespace(metadata: Mapping[str, str] | None, owner: Owner) -> Presence:
    """The owner of the namespace with the environment's name, according to its metadata."""
    return whose(metadata, owner, held=owner.holds(NAMESPACE_KIND, owner.name))


def whose_job(job: Mapping[str, Any], namespace: str, owner: Owner) -> Presence:
    """The owner of a job. In a namespace that the environment holds, the mark may be missing."""
    return whose(job.get("Meta"), owner, held=owner.holds(NAMESPACE_KIND, namespace))


class NamespaceHandler:
    """Observes and removes the namespace of an environment."""

    kind: ClassVar[str] = NAMESPACE_KIND
    place: ClassVar[bool] = True

    def __init__(self, nomad: NomadApi, patience: timedelta = POSTSTOP_PATIENCE) -> None:
        """`patience` as of `JobHandler`."""
        self._nomad = nomad
        self._patience = patience

    def time_needed(self, address: str) -> timedelta:
        """How long the jobs that are still running there may take to stop."""
        return time_to_stop(self._nomad, address, self._nomad.jobs(address), self._patience)

    def observe(self, address: str, owner: Owner) -> Observation:
        """Reads the mark and counts the jobs."""
        metadata = self._nomad.namespace(address)
        if metadata is None:
            return ABSENT
        presence = whose_namespace(metadata, owner)
        detail = counted(len(self._nomad.jobs(address)), "job")
        if presence is Presence.FOREIGN:
            detail += f"; its {MARK} is {str(metadata.get(MARK, ''))[:60]!r}"
        return Observation(presence, detail)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Stops running jobs there (such as dispatched ones), then removes the content and the namespace."""
        metadata = self._nomad.namespace(address)
        if metadata is None or whose_namespace(metadata, owner) is Presence.FOREIGN:
            return
        stop_jobs(self._nomad, address, self._nomad.jobs(address), run, self._patience)
        for path in self._nomad.variables(address):
            run.before_effect()
            self._nomad.remove_variable(address, path)
        for volume in self._nomad.volumes(address):
            run.before_effect()
            run.log(f"volume {volume} in the namespace is removed with what is in it")
            self._nomad.remove_volume(address, volume)
        while True:
            run.before_effect()
            try:
                self._nomad.remove_namespace(address)
                return
            except BackendError as error:
                # Nomad's servers learn of the end of an allocation a moment after its client.
                # Nomad quotes the namespace, whose name may contain the words that are matched here.
                if error.transient or "non-terminal" not in error.message.replace(f'"{address}"', ""):
                    raise
                run.wait(PAUSE)
