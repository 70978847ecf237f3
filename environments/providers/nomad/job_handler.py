"""Observes, stops and removes jobs."""

from datetime import timedelta
from typing import ClassVar

from environments.providers.nomad.namespace import whose_job
from environments.providers.nomad.ports import JOB_KIND, NomadApi
from environments.providers.nomad.scaling import stop_job
from environments.providers.nomad.stopping import POSTSTOP_PATIENCE, stop_jobs, time_to_stop
from environments.steps.base import Observation, Owner, Presence, StepRun
from environments.steps.marks import ABSENT


class JobHandler:
    """Observes, stops and removes a job (`<namespace>/<job>`)."""

    kind: ClassVar[str] = JOB_KIND

    def __init__(self, nomad: NomadApi, patience: timedelta = POSTSTOP_PATIENCE) -> None:
        """`patience`: how long poststop tasks may run before they are killed, unless their `kill_timeout` is longer."""
        self._nomad = nomad
        self._patience = patience

    def time_needed(self, address: str) -> timedelta:
        """How long its tasks may take to stop."""
        namespace, name = address.split("/", 1)
        return time_to_stop(self._nomad, namespace, [name], self._patience)

    def observe(self, address: str, owner: Owner) -> Observation:
        """Reads the job's mark, and counts its running allocations."""
        namespace, name = address.split("/", 1)
        job = self._nomad.job(namespace, name)
        if job is None:
            return ABSENT
        running = sum(not found.terminal for found in self._nomad.allocations(namespace, name)[1])
        return Observation(whose_job(job, namespace, owner), _running(running))

    def stop(self, address: str, owner: Owner, run: StepRun) -> None:
        """Scales the job to zero, and waits until its allocations have ended."""
        namespace, name = address.split("/", 1)
        stop_job(self._nomad, namespace, name, owner, run, self._patience)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Stops the job, waits until its allocations have ended and purges it. Kills poststop tasks that don't end."""
        namespace, name = address.split("/", 1)
        if self.observe(address, owner).presence is Presence.OURS:
            stop_jobs(self._nomad, namespace, [name], run, self._patience)


def _running(count: int) -> str:
    return "stopped" if not count else "1 allocation runs" if count == 1 else f"{count} allocations run"
