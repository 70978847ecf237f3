"""Jobs that run to completion: whether one is done for these inputs, even if Nomad no longer has a record of it.

Nomad deletes a finished job after some hours, or at once in a garbage collection. It runs an equal job again when that
is registered with another token, and the service has a new token each hour. So the inventory records that a job ran to
completion, with marks that stand for its inputs. Only the last run counts: going back to earlier inputs runs the job
again.
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
    """Whether the job starts when it is registered, and is done when its tasks have completed."""
    return job.get("Type") in ("batch", "sysbatch") and not job.get("Periodic") and not job.get("ParameterizedJob")


def why_not_again(text: str) -> str:
    """Why a job with that file can't be run again; empty if it can, or if the file alone doesn't tell."""
    for job in parse(text).body.of("job"):
        for block in job.body.of(*_LATER):
            return f"its job {_LATER[block.kind]}"
        kind = job.body.attribute("type")
        if kind is None or kind.text in ("service", "system"):
            return "its job keeps running"
    return ""


class Completion:
    """Reads and records in the inventory whether a step's job is done, is about to run, or has run to completion."""

    def __init__(self, context: StepContext, text: str, job: Job, resource: ResourceRef) -> None:
        """`text` is the job file, `job` the job that was read from it and adopted.

        Raises `InvalidInput` if a person wants the step to run again and its job doesn't run to completion.
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
            # One equal mark is enough. After an upgrade the job sent to Nomad may differ for the same inputs; and a
            # job file may have another text and give the same job.
            self._marks = (f"inputs {fingerprint([context.inputs, text])}", f"job {fingerprint(_plain(job))}")
            self.done = self._is_done(context, text)

    @property
    def ran(self) -> bool:
        """Whether a job of that name has run to completion before, or may have, with any inputs."""
        return self._noted is None or bool(self._noted)

    def keep(self) -> None:
        """Takes the job as done with these inputs too, if it has run to completion: a start doesn't run it again.

        The addresses of services may have changed with the stop, and its inputs with them.
        """
        self.done = self.done or (self.applies and self.ran and not self.run_again)

    def begins(self, run: StepRun) -> None:
        """Call it before the job is registered: earlier runs don't count from then on."""
        if self.applies and self.ran:
            run.finished(self._resource, ())

    def ended(self, run: StepRun) -> None:
        """Call it when the job has run to completion, or was found to have done so."""
        marks = (*self._marks, *([f"run {self.run_again}"] if self.run_again else ()))
        if not self.applies or set(marks) <= set(self._noted or ()):
            return
        # Earlier marks of the same job stay: a file may get its earlier text back.
        same = [mark for mark in (self._noted or ()) if mark not in marks] if self.done else []
        run.finished(self._resource, (*same[-_MARKS:], *marks))

    def _is_done(self, context: StepContext, text: str) -> bool:
        if self.run_again:
            return f"run {self.run_again}" in (self._noted or ())
        if self._noted is None:
            # A version that recorded no marks made the job: it is done if the step was done with the same file and
            # options.
            return context.before is not None and _text(context.before, context.options.file) == text
        return not set(self._noted).isdisjoint(self._marks)


def _text(bundle: Bundle, file: str) -> str | None:
    try:
        return bundle.text(file)
    except CalvinverseError:
        return None


def _plain(value: Any) -> Any:
    """The job without empty fields, because another version of Nomad may have more of them."""
    if isinstance(value, Mapping):
        return dict(_filled(value))
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _filled(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if (plain := _plain(item)) not in (None, "", [], {}):
            yield key, plain
