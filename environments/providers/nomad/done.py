"""Jobs that end by themselves: whether one is done for these inputs, independent of what Nomad remembers.

Nomad forgets a finished job after some hours, or at once after a garbage collection; and it runs an equal job again
when that is registered with another token, of which the service has a new one each hour. So the
inventory records that a job ran to its end, with marks that stand for its inputs. Only the last run counts: going back
to earlier inputs runs the job again.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from environments.domain.environment import ResourceRef
from environments.domain.errors import CalvinverseError, InvalidInput
from environments.domain.template import Bundle
from environments.providers.nomad.ports import Job
from environments.steps.base import StepContext, StepRun
from environments.steps.changes import fingerprint
from environments.steps.hcl.tree import parse

RUN = "calvinverse-run"
"""Key of a job's metadata that makes Nomad run an equal job again; its value identifies the request."""

_LATER = {"periodic": "starts on a schedule", "parameterized": "starts when it is dispatched"}
_MARKS = 20
"""How many earlier marks of the same job are kept."""


def ends_by_itself(job: Job) -> bool:
    """Whether the job is started by being registered, and done when its tasks have completed."""
    return job.get("Type") in ("batch", "sysbatch") and not job.get("Periodic") and not job.get("ParameterizedJob")


def why_not_again(text: str) -> str:
    """Why a job with that file can't be run again, in words; empty when it can, or the file alone doesn't tell."""
    for job in parse(text).body.of("job"):
        for block in job.body.of(*_LATER):
            return f"its job {_LATER[block.kind]}"
        kind = job.body.attribute("type")
        if kind is None or kind.text in ("service", "system"):
            return "its job keeps running"
    return ""


class Completion:
    """What is known of a step's job: whether it is done; and, if it isn't, that it is about to run, and has ended."""

    def __init__(self, context: StepContext, text: str, job: Job, resource: ResourceRef) -> None:
        """`text` is the job's file, `job` what it was read and adopted as. Raises `InvalidInput`.

        That is for a step that a person wants to be run again, and that has no job which ends by itself.
        """
        self.applies = ends_by_itself(job)
        self.run_again = context.run_again
        self._resource = resource
        self._marks: tuple[str, ...] = ()
        self._noted = context.finished.get((resource.kind, resource.address), ())
        self.done = False
        if context.run_again and not self.applies:
            raise InvalidInput(
                f"The step {context.step!r} can't be run again: its job {job['ID']!r} isn't one that runs to its end.",
                hint="Only batch and sysbatch jobs that start with their deployment are run again.",
            )
        if self.applies:
            # Either is enough. What is sent to Nomad may differ after an upgrade, though the inputs are the same; and a
            # job file may be written in other words, and be the same job.
            self._marks = (f"inputs {fingerprint([context.inputs, text])}", f"job {fingerprint(_plain(job))}")
            self.done = self._is_done(context, text)

    @property
    def ran(self) -> bool:
        """Whether a job of that name has run to its end before, or may have: with whatever inputs."""
        return self._noted is None or bool(self._noted)

    def begins(self, run: StepRun) -> None:
        """Must be called before the job is registered: earlier runs don't count from then on."""
        if self.applies and self.ran:
            run.finished(self._resource, ())

    def ended(self, run: StepRun) -> None:
        """Must be called when the job has run to its end, or is found to have done so."""
        marks = (*self._marks, *([f"run {self.run_again}"] if self.run_again else ()))
        if not self.applies or set(marks) <= set(self._noted or ()):
            return
        # What is known to stand for the same job stays: a file may get its earlier words back.
        same = [mark for mark in (self._noted or ()) if mark not in marks] if self.done else []
        run.finished(self._resource, (*same[-_MARKS:], *marks))

    def _is_done(self, context: StepContext, text: str) -> bool:
        if self.run_again:
            return f"run {self.run_again}" in (self._noted or ())
        if self._noted is None:
            # Made by a version that wrote nothing down: the same step was done with the same file and options.
            return context.before is not None and _text(context.before, context.options.file) == text
        return not set(self._noted).isdisjoint(self._marks)


def _text(bundle: Bundle, file: str) -> str | None:
    try:
        return bundle.text(file)
    except CalvinverseError:
        return None


def _plain(value: Any) -> Any:
    """Without empty fields: another version of Nomad may have more of them."""
    if isinstance(value, Mapping):
        return dict(_filled(value))
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _filled(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if (plain := _plain(item)) not in (None, "", [], {}):
            yield key, plain
