"""Decides whether a job of a ready environment works, from Nomad's records: a rule without effects.

- A *service* job works while all its instances run, and none of their tasks has just failed by itself. An
  instance runs when its tasks do; one that waits for its restart doesn't.
- A *system* job works while none of its instances has failed on a node where no other one runs.
- *Batch* and *sysbatch* jobs are done when their environment becomes ready, so Nomad may delete them. A run that fails
  permanently after that, because somebody started it again, is reported.
- *Periodic* and *parameterized* jobs work while they exist and aren't stopped, and their newest run hasn't failed.

Failures before the environment last became ready were part of its deployment, and aren't reported.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from environments.domain.counting import counted
from environments.steps.cluster_events import SeenInstance, SeenJob, SeenTask

SETTLED = 20.0
"""Seconds that a task has to run after a failure until it counts as healthy."""

GRACE = 5.0
"""Seconds that an instance may be missing: Nomad needs a moment to start a replacement."""

_AT_ONCE = 1.0
"""Likewise for troubles that need a person."""

TASK_KIND = "nomad.task"

RUN = "Its newest run ("
"""How the reason of a failed run begins."""

_SECOND = 1_000_000_000


@dataclass(frozen=True)
class Trouble:
    """A trouble. `kind` and `address` identify it; `said` is a sentence by Calvinverse.

    `quote`: output of a job or a check, to be added after it is cleaned. It counts after it has lasted `grace` seconds.
    `until`: when it ends unless something else happens, in nanoseconds since 1970; 0: it doesn't.
    """

    kind: str
    address: str
    said: str
    quote: str = ""
    grace: float = 0.0
    until: int = 0


@dataclass(frozen=True)
class JobFacts:
    """Everything known of a job: its record (None: Nomad has none), its instances, and the runs that it started.

    `may_be_forgotten`: Nomad may have deleted the job, because it ran to its end or because that is unknown.
    """

    job: SeenJob | None
    instances: Sequence[SeenInstance] = ()
    runs: Mapping[SeenJob, Sequence[SeenInstance]] | None = None
    may_be_forgotten: bool = False


def job_troubles(kind: str, address: str, facts: JobFacts, since: int, now: int) -> list[Trouble]:
    """The troubles of a job. `since`: when its environment became ready, in ns since 1970, as `now`."""
    job = facts.job
    if job is None:
        if facts.may_be_forgotten:
            return []
        return [Trouble(kind, address, "The job is gone: somebody has removed it from Nomad", grace=_AT_ONCE)]
    if job.starts_later:
        if job.stopped:
            return [_stopped(kind, address)]
        return list(_of_runs(kind, address, facts.runs or {}, since))
    if job.type in ("batch", "sysbatch"):
        return list(_failed_for_good(kind, address, facts.instances, since, "A run that was started again"))
    if job.stopped:
        return [_stopped(kind, address)] if job.count or job.type == "system" else []
    found = _of_service(job, kind, address, facts.instances, since)
    if job.type == "system":
        found = _of_system(kind, address, facts.instances, since)
    if found is not None:
        return [found]
    # The job has all its instances: further failed ones are of a new version that waits for promotion.
    canaries = _failed_for_good(kind, address, facts.instances, since, "A canary") if job.type == "service" else ()
    return [*canaries, *_of_tasks(address, facts.instances, since, now)]


def _stopped(kind: str, address: str) -> Trouble:
    return Trouble(kind, address, "The job is stopped: somebody has stopped it in Nomad", grace=_AT_ONCE)


def _of_service(job: SeenJob, kind: str, address: str, instances: Sequence[SeenInstance], since: int) -> Trouble | None:
    running = sum(map(_runs, instances))
    if running >= job.count:
        return None
    said = f"{running} of {counted(job.count, 'instance')} {'runs' if job.count == 1 else 'run'}"
    why, quote, for_good = _why(instances, since)
    return Trouble(kind, address, f"{said}{why}", quote, _AT_ONCE if for_good else GRACE)


def _of_system(kind: str, address: str, instances: Sequence[SeenInstance], since: int) -> Trouble | None:
    served = {(found.group, found.node) for found in instances if _runs(found)}
    wanted = [found for found in instances if found.desired == "run" and not found.replaced]
    lacking = [found for found in wanted if (found.group, found.node) not in served]
    if not lacking:
        return None
    why, quote, for_good = _why(lacking, since)
    nodes = len({found.node for found in lacking})
    said = f"It doesn't run on {counted(nodes, 'node')} where it should"
    return Trouble(kind, address, f"{said}{why}", quote, _AT_ONCE if for_good else GRACE)


def _runs(found: SeenInstance) -> bool:
    return found.desired == "run" and found.client == "running" and not any(map(_waits, found.tasks))


def _waits(task: SeenTask) -> bool:
    """Whether a task should run and doesn't: it is being prepared, or waits for its restart.

    A task that runs after the others (poststop) has not begun.
    """
    return task.state == "pending" and task.begun


def _why(instances: Sequence[SeenInstance], since: int) -> tuple[str, str, bool]:
    """Why instances are missing, as the end of a sentence, with Nomad's message, and whether that is permanent."""
    unknown = [found for found in instances if found.client in ("unknown", "lost") and found.at > since]
    for_good = any(found.given_up and found.at > since for found in instances)
    failed = max(
        ((task.failed_at, task, found) for found in instances for task in found.tasks if task.failed_at > since),
        key=lambda one: one[0],
        default=None,
    )
    if failed is not None:
        _, task, found = failed
        then = "; Nomad won't retry it" if found.given_up else ""
        return f"{then}; task {task.name!r} failed", task.failure, for_good
    if unknown:
        return "; a node doesn't answer, or is gone", "", for_good
    waiting = next((task for found in instances for task in found.tasks if _waits(task)), None)
    if waiting is not None:
        return f"; task {waiting.name!r} has not started", "", for_good
    return ("; Nomad won't retry it" if for_good else ""), "", for_good


def _of_tasks(address: str, instances: Sequence[SeenInstance], since: int, now: int) -> Iterator[Trouble]:
    """Tasks that run again, but failed a moment ago: one trouble for each name."""
    told: set[str] = set()
    settled = int(SETTLED * _SECOND)
    for found in instances:
        for task in found.tasks if _runs(found) else ():
            until = max(task.failed_at, task.started_at) + settled
            place = f"{address}/{task.name}"
            if task.failed_at > since and task.state == "running" and now < until and place not in told:
                told.add(place)
                said = f"Task {task.name!r} failed, and was started again"
                yield Trouble(TASK_KIND, place, said, task.failure, until=until)


def _failed_for_good(
    kind: str, address: str, instances: Sequence[SeenInstance], since: int, what: str
) -> Iterator[Trouble]:
    bad = [found for found in instances if found.given_up and found.at > since]
    if bad:
        why, quote, _ = _why(bad, since)
        yield Trouble(kind, address, f"{what} has failed{why}", quote, _AT_ONCE)


def _of_runs(kind: str, address: str, runs: Mapping[SeenJob, Sequence[SeenInstance]], since: int) -> Iterator[Trouble]:
    newest = max(runs, key=lambda run: (run.submitted, run.id), default=None)
    if newest is not None:
        yield from _failed_for_good(kind, address, runs[newest], since, f"{RUN}{newest.id})")
