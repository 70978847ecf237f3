"""Follows a job until it is healthy, and reports what happens to its tasks meanwhile."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set

from environments.domain.cleaning import Cleaner
from environments.domain.errors import CalvinverseError, StepFailed, StepTimeout
from environments.providers.consul.ports import Catalogue
from environments.providers.nomad.given_up import failed_for_good
from environments.providers.nomad.incidents import KILLED_FROM_OUTSIDE, LIKELY_CAUSE, EventMark, killed_from_outside
from environments.providers.nomad.lifecycle import Duties
from environments.providers.nomad.placement import unplaced
from environments.providers.nomad.ports import SLICE, Allocation, NomadApi, Rollout, Task
from environments.providers.nomad.promotion import Promotion, canaried
from environments.providers.nomad.registered import Outcome, Registered
from environments.providers.nomad.service_checks import Checks
from environments.steps.base import StepRun

_TAIL = 8000
"""Bytes that are read of a failed task's standard error; its last lines are shown."""

_TAIL_LINES = 5
_UNTIL_COLLECTED = (0.1, 0.3, 1.0, 2.0, 2.0)
"""Seconds to wait for the output of a task: Nomad collects it a moment after the task has ended."""

_ENDED_BADLY = frozenset({"failed", "cancelled"})


class RolloutWatcher:
    """Follows the rollout of one version of a job.

    Nomad reads Consul's checks twice a second and reports them with a delay. So where a group requires nothing but
    passing checks (`min_healthy_time = "0s"`), the watcher queries Consul directly.
    """

    def __init__(
        self,
        nomad: NomadApi,
        catalogue: Catalogue,
        registered: Registered,
        run: StepRun,
        words: Callable[[], Sequence[str]] = tuple,
        known: Set[EventMark] = frozenset(),
        *,
        promotes: bool = True,
    ) -> None:
        """`words` gives the secrets to remove from a task's output before it is quoted.

        `known` events happened earlier and aren't reported. `promotes`: healthy canaries are promoted;
        otherwise they wait for a person to do that.
        """
        self._nomad = nomad
        self._checks = Checks(catalogue, registered.job)
        self._job = registered
        self._run = run
        self._words = words
        self._told: set[EventMark] = set(known)
        self._told_of_another = False
        self._obstacle = ""
        self._allocations: list[Allocation] = []
        self._others: list[Allocation] = []
        self._duties = Duties(registered.job)
        self._promotion = Promotion(nomad, registered.namespace, promotes=promotes, tell=registered.new)
        self._rollout: Rollout | None = None

    def until_healthy(self) -> Outcome:
        """Returns when every task of every instance is running, or has ended if it runs to completion, and checks pass.

        Canaries are promoted first, or the outcome says that they await it. Raises `StepFailed` when the job has
        failed, and `StepTimeout`, which says what it was waiting for.
        """
        if self._job.starts_later:
            return Outcome()
        try:
            self._wait()
        except StepTimeout as error:
            raise StepTimeout(f"{error.message.rstrip('.')}: {self._reason()}.", hint=error.hint) from error
        if self._waits_for_promotion:
            stable = [found for found in self._live(self._others) if not found.terminal]
            return Outcome((*stable, *(found for found in self._live() if not self._is_canary(found))), awaiting=True)
        return Outcome(tuple(self._live()))

    def _wait(self) -> None:
        index, wait = 0, 0.0
        while True:
            self._run.before_effect()
            index, allocations = self._nomad.allocations(
                self._job.namespace, self._job.id, index=index if wait else 0, wait=wait
            )
            self._allocations = [found for found in allocations if found.job_version == self._job.version]
            self._others = [found for found in allocations if found.job_version != self._job.version]
            self._tell()
            self._see_rollout()
            if self._done():
                return
            self._check_placement()
            self._check_failure()
            # When everything is placed, the next change to wait for is a passing check.
            wait = SLICE
            if self._all_placed() and self._checks.wait_for_change(self._live()):
                wait = 0.0
                if self._done():
                    return

    def _see_rollout(self) -> None:
        """Reads Nomad's deployment. Only one with canaries adds information to that of the instances."""
        if canaried(self._job.job):
            rollout = self._nomad.rollout(self._job.namespace, self._job.id)
            self._rollout = rollout if rollout is not None and rollout.job_version == self._job.version else None

    @property
    def _waits_for_promotion(self) -> bool:
        return self._rollout is not None and self._rollout.awaits_promotion

    def _is_canary(self, allocation: Allocation) -> bool:
        return self._rollout is not None and allocation.id in self._rollout.canaries

    def _done(self) -> bool:
        groups = self._job.job.get("TaskGroups") or []
        wanted = {group["Name"]: group["Count"] for group in groups if group.get("Count")}
        if self._rollout is not None and self._rollout.awaits_promotion:
            wanted.update(self._rollout.unpromoted)
            # Nomad promotes canaries that it has judged healthy.
            well = [found for found in self._live() if self._good(found) and found.healthy is True]
            return self._enough(wanted, well) and self._promotion.decide(self._rollout, self._run)
        if self._job.job.get("Type") in ("system", "sysbatch"):
            # A system job has one instance on each suitable node: all that the scheduler has placed.
            placed = {found.group for found in self._allocations}
            return placed >= set(wanted) and all(map(self._good, self._live()))
        return self._enough(wanted, list(filter(self._good, self._live())))

    @staticmethod
    def _enough(wanted: Mapping[str, int], good: Sequence[Allocation]) -> bool:
        counts = Counter(found.group for found in good)
        return all(counts[group] >= count for group, count in wanted.items())

    def _live(self, among: Sequence[Allocation] | None = None) -> list[Allocation]:
        found = self._allocations if among is None else among
        return [one for one in found if one.desired == "run" and not one.replaced]

    def _good(self, allocation: Allocation) -> bool:
        if self._job.runs_to_its_end and allocation.client == "complete":
            return True
        lacking = self._duties.lacking(allocation)
        if self._job.runs_to_its_end:
            return allocation.client == "running" and not lacking
        if allocation.healthy is None and not allocation.terminal and self._checks.pass_for(allocation):
            # Consul may report the service before Nomad's client has reported to its server that the task is running.
            return not lacking or self._duties.alone(allocation.group)
        healthy = allocation.healthy is True or not self._has_rollout()
        return allocation.client == "running" and healthy and not lacking and not self._checks.missing(allocation)

    def _all_placed(self) -> bool:
        wanted = sum(group.get("Count") or 0 for group in self._job.job.get("TaskGroups") or [])
        live = self._live()
        return len(live) >= wanted and not any(found.terminal for found in live)

    def _has_rollout(self) -> bool:
        # Nomad judges health only in a deployment, which system jobs and groups without `update` don't have.
        if self._job.job.get("Type") != "service":
            return False
        return any((group.get("Update") or {}).get("MaxParallel") for group in self._job.job.get("TaskGroups") or [])

    def _tell(self) -> None:
        fresh: list[tuple[int, list[str]]] = []
        for allocation in self._allocations:
            for task in allocation.tasks:
                for event in task.events:
                    mark = (allocation.id, task.name, event.at, event.kind)
                    if mark not in self._told:
                        self._told.add(mark)
                        who = f"{allocation.id[:8]} {task.name}"
                        lines = [f"{who}: {event.kind}: {event.message}".rstrip(": ")]
                        if event.from_outside:
                            lines.append(f"{who}: {KILLED_FROM_OUTSIDE}. {LIKELY_CAUSE}.")
                        fresh.append((event.at, lines))
        for _, lines in sorted(fresh):
            for line in lines:
                self._run.log(line)

    def _check_placement(self) -> None:
        wanted = sum(group.get("Count") or 0 for group in self._job.job.get("TaskGroups") or [])
        if not self._job.evaluation or len(self._live()) >= wanted:
            self._obstacle = ""
            return
        evaluation = self._nomad.evaluation(self._job.namespace, self._job.evaluation)
        if evaluation is None:
            return
        if evaluation.status in ("failed", "canceled"):
            raise StepFailed(
                f"Nomad gave up placing job {self._job.id!r}: {evaluation.description or 'no reason given'}."
            )
        if lonely := sorted(evaluation.without_bridge):
            raise StepFailed(
                f"Group {lonely[0]!r} of job {self._job.id!r} asks for a network of its own, which no node can give.",
                hint="Install CNI's plugins on the nodes; `calvinverse doctor` says how. An admin may also write "
                'network = "host" in the template, whose jobs then use the network of their node.',
            )
        obstacle = unplaced(self._job.job, evaluation)
        if obstacle and obstacle != self._obstacle:
            self._run.log(f"waiting for placement: {obstacle}")
        self._obstacle = obstacle

    def _check_failure(self) -> None:
        decided = not self._has_rollout()
        if not self._job.runs_to_its_end:
            rollout = self._nomad.rollout(self._job.namespace, self._job.id)
            mine = rollout is not None and rollout.job_version == self._job.version
            if rollout and mine and rollout.status in _ENDED_BADLY:
                self._read_allocations()  # why it has failed may be newer than what was read before
                raise self._failed(f"Job {self._job.id!r} did not become healthy: {self._reason(rollout.description)}.")
            # A deployment that has succeeded, or that Nomad has deleted, doesn't report later failures.
            decided = decided or rollout is None or (mine and rollout.status == "successful")
        if decided and failed_for_good(self._allocations) and self._is_over():
            raise self._failed(f"Job {self._job.id!r} failed: {self._reason()}.")

    def _is_over(self) -> bool:
        """Whether Nomad won't replace failed instances. It decides that a moment after the failure."""
        if self._nomad.goes_on(self._job.namespace, self._job.id):
            if not self._told_of_another:
                self._run.log(f"job {self._job.id}: an instance has failed; Nomad will start another one")
            self._told_of_another = True
            return False
        self._read_allocations()
        return failed_for_good(self._allocations)

    def _read_allocations(self) -> None:
        allocations = self._nomad.allocations(self._job.namespace, self._job.id)[1]
        self._allocations = [found for found in allocations if found.job_version == self._job.version]

    def _failed(self, sentence: str) -> StepFailed:
        """The error, with a hint if containers were killed from outside."""
        if killed_from_outside(self._allocations):
            return StepFailed(sentence, hint=f"{LIKELY_CAUSE}. Then `calvinverse env retry`.")
        return StepFailed(sentence)

    def _reason(self, otherwise: str = "") -> str:
        """The task that fails, and the end of its output."""
        if self._waits_for_promotion and all(map(self._good, self._live())):
            assert self._rollout is not None
            return self._promotion.reason(self._rollout, len(self._live()))
        unheard = [name for found in self._live() if found.client == "running" for name in self._checks.missing(found)]
        if unheard and not any(map(self._duties.lacking, self._live())):
            return f"service {unheard[0]!r} doesn't pass its checks"
        for allocation, task in self._suspects():
            events = [f"{event.kind}: {event.message}".rstrip(": .") for event in task.events][-3:]
            said = "; ".join(events) or task.state
            tail = self._tail(allocation, task)
            return f"task {task.name!r}: {said}" + (f"; it wrote: {tail}" if tail else "")
        if self._obstacle:
            return self._obstacle
        if self._allocations:
            states = ", ".join(sorted({found.client for found in self._live()}))
            return otherwise.rstrip(".") or f"its instances are {states}, but not healthy"
        return otherwise.rstrip(".") or "none of its instances has been started"

    def _suspects(self) -> Sequence[tuple[Allocation, Task]]:
        # The task that failed first comes first: Nomad then kills its siblings, which appear as failed too.
        tasks = [(one, task) for one in reversed(self._allocations) for task in sorted(one.tasks, key=_failed_at)]
        failed = [(found, task) for found, task in tasks if task.failed or any(event.failed for event in task.events)]
        lacking = [(found, task) for found in reversed(self._live()) for task in self._duties.lacking(found)]
        unhealthy = [(found, task) for found, task in tasks if found.healthy is not True and found.client != "complete"]
        return failed or lacking or unhealthy

    def _clean(self, text: str, *, begun: bool) -> str:
        try:
            words = self._words()
        except CalvinverseError:
            return ""  # output is quoted only if all secrets that must be removed from it are known
        return Cleaner(words).clean(text, begun=begun, cut=True)

    def _tail(self, allocation: Allocation, task: Task) -> str:
        text = self._nomad.log_tail(self._job.namespace, allocation.id, task.name, _TAIL)
        for pause in _UNTIL_COLLECTED if task.failed or task.state == "dead" else ():
            if text:
                break
            time.sleep(pause)
            text = self._nomad.log_tail(self._job.namespace, allocation.id, task.name, _TAIL)
        begun = len(text.encode()) >= _TAIL
        if begun:
            text = text.partition("\n")[2]  # an incomplete line may contain a part of a secret
        text = self._clean(text, begun=begun) if text else ""
        return " | ".join(line.strip() for line in text.splitlines()[-_TAIL_LINES:] if line.strip())


def _failed_at(task: Task) -> float:
    """When the task failed first; infinite if it hasn't failed."""
    return min((event.at for event in task.events if event.failed), default=math.inf)
