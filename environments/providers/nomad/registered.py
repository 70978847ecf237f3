"""A registered job, and the outcome of its rollout."""

from dataclasses import dataclass

from environments.providers.nomad.ports import Allocation, Job


@dataclass(frozen=True)
class Outcome:
    """The outcome of a rollout. `serving`: the instances that serve from now on.

    `awaiting`: the canaries of the version are healthy and wait for a person to promote them; other instances serve.
    """

    serving: tuple[Allocation, ...] = ()
    awaiting: bool = False


@dataclass(frozen=True)
class Registered:
    """A registered job, with the data to follow it. `evaluation` is "" if there is none.

    `new`: the version was created by this registration.
    """

    job: Job
    version: int
    evaluation: str
    new: bool = True

    @property
    def namespace(self) -> str:
        return str(self.job["Namespace"])

    @property
    def id(self) -> str:
        return str(self.job["ID"])

    @property
    def runs_to_its_end(self) -> bool:
        """Whether the job is done when its tasks have completed."""
        return self.job.get("Type") in ("batch", "sysbatch")

    @property
    def starts_later(self) -> bool:
        """Whether the job doesn't run until a schedule or a dispatch starts it."""
        return bool(self.job.get("Periodic") or self.job.get("ParameterizedJob"))
