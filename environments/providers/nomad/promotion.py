"""Promotion of canaries: instances of a new version that run beside the old version."""

from collections.abc import Iterator

from environments.domain.errors import BackendError, StepFailed
from environments.providers.nomad.given_up import canary_given_up
from environments.providers.nomad.ports import Job, NomadApi, Rollout
from environments.steps.base import StepRun

_MOVED = ("healthy allocations", "terminal status")
"""Nomad's answers when a canary is no longer healthy, or the deployment has ended meanwhile."""


class Promotion:
    """Promotes the canaries of a Nomad deployment, unless a person has to do that."""

    def __init__(self, nomad: NomadApi, namespace: str, *, promotes: bool, tell: bool) -> None:
        """`tell`: the version is new, so it is reported that its canaries wait."""
        self._nomad = nomad
        self._namespace = namespace
        self._promotes = promotes
        self._tell = tell
        self._promoted: set[str] = set()

    def decide(self, rollout: Rollout, run: StepRun) -> bool:
        """Returns whether healthy canaries await a person; otherwise the service or Nomad promotes them."""
        if not self._promotes:
            if self._tell:
                run.log(f"version {rollout.job_version} has healthy canaries, which wait for promotion")
            return True
        if rollout.promotes_itself or rollout.id in self._promoted:
            return False
        run.before_effect()
        try:
            self._nomad.promote(self._namespace, rollout.id)
        except BackendError as error:
            if error.transient or not any(text in error.message for text in _MOVED):
                raise
            return False
        self._promoted.add(rollout.id)
        run.log(f"version {rollout.job_version} has healthy canaries, and is promoted")
        return False

    def reason(self, rollout: Rollout, placed: int) -> str:
        """Why a deployment with canaries is still running."""
        wanted = sum(rollout.unpromoted.values())
        if placed < wanted:
            return f"{placed} of {wanted} canaries are running; all must be healthy before promotion"
        who = "by Nomad, as the job file asks for with auto_promote" if rollout.promotes_itself else ""
        return f"its canaries run and wait for promotion {who}".rstrip()


def canaried(job: Job) -> bool:
    """Whether new versions of the job begin with canaries."""
    return any(canaries for _, canaries, _ in _canaries(job))


def promotes_itself(job: Job) -> Iterator[str]:
    """Groups whose canaries Nomad promotes by itself."""
    return (group for group, canaries, itself in _canaries(job) if canaries and itself)


def _canaries(job: Job) -> Iterator[tuple[str, int, bool]]:
    for group in job.get("TaskGroups") or []:
        update = group.get("Update") or {}
        yield group["Name"], update.get("Canary") or 0, bool(update.get("AutoPromote"))


def refuse_failed(nomad: NomadApi, namespace: str, job: str) -> None:
    """Raises `StepFailed` if canaries of the job waited for promotion and have failed meanwhile.

    Other canaries, which nobody has reviewed, must not be promoted in their place.
    """
    rollout = nomad.rollout(namespace, job)
    why = ""
    if rollout is not None and rollout.unpromoted and rollout.status == "failed":
        why = rollout.description.rstrip(".")
    elif rollout is not None and rollout.awaits_promotion and canary_given_up(nomad, namespace, job, rollout):
        why = "a canary has failed, and Nomad won't start another one"
    if rollout is not None and why:
        raise StepFailed(
            f"Version {rollout.job_version} of job {job!r} can't be promoted: {why}.",
            hint="`calvinverse env retry` starts new canaries; `calvinverse env rollback` goes back.",
        )
