"""Says in sentences why a deployment waits, what it does while it runs, and how it ended."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from environments.domain.admission import (
    PATIENCE,
    Lane,
    Queue,
    Running,
    Waiting,
    counts_as_machine,
    lane_of,
    line,
)
from environments.domain.deadline import format_duration
from environments.domain.environment import Deployment
from environments.domain.lifecycle import DeploymentState, StepState
from environments.service.authorization import Principal, names_owner
from environments.service.records import Pending
from environments.service.storage.deployments import WorkerRecord
from environments.service.storage.transaction import Transaction

_NO_WORKER = "No worker is alive: start one."


def pending(tx: Transaction, principal: Principal, deployment: Deployment, now: datetime) -> Pending:
    """Why a deployment waits. Only admins see the names of other owners."""
    lane = lane_of(deployment.kind)
    told = Pending(deployment.id, deployment.state, lane.value)
    if deployment.state is DeploymentState.QUEUED:
        queue = tx.deployments.queue(lane)
        order = line(queue, now)
        place = next(index for index, waiting in enumerate(order) if waiting.id == deployment.id)
        reasons = [
            _place(order, place, principal, lane, now),
            *_held_up(tx, queue, order[place]),
            *_workers(tx.workers.all(), queue),
        ]
        if place == 0 and len(reasons) == 1:
            reasons.append("A worker will claim it within a moment.")
        return replace(told, position=place + 1, waiting=len(order), reasons=tuple(reasons))
    if deployment.state is DeploymentState.RUNNING:
        return replace(told, reasons=tuple(_running(tx, deployment, now)))
    return replace(told, reasons=(_ended(deployment),))


def _place(order: Sequence[Waiting], place: int, principal: Principal, lane: Lane, now: datetime) -> str:
    where = f"Position {place + 1} of {len(order)} in the {lane.value} lane"
    if place == 0:
        return f"{where}."
    ahead = Counter(waiting.owner if names_owner(principal, waiting.owner) else None for waiting in order[:place])
    counts: list[str] = []
    for owner, count in ahead.most_common():
        whose = "others'" if owner is None else f"{owner}'s"
        counts.append(f"{count} of {whose}{' deployments' if not counts else ''}")
    verb = "goes" if place == 1 else "go"
    sentence = f"{where}: {_listed(counts)} {verb} first."
    if counts_as_machine(order[place], now):
        left = format_duration(PATIENCE - (now - order[place].requested_at))
        sentence += f" A machine requested it, so requests of people go first, for another {left} at most."
    return sentence


def _held_up(tx: Transaction, queue: Queue, waiting: Waiting) -> list[str]:
    found = []
    busy = queue.busy().get(waiting.environment_id)
    if busy is not None:
        other = tx.deployments.get(busy.id)
        stops = other is not None and (other.cancel_requested_at is not None or queue.lane is Lane.DESTROY)
        found.append(
            f"The environment's {busy.kind.value} {busy.id} still runs"
            f"{', and its cancellation was requested' if stops else ''}."
        )
    if waiting.limit is not None and (count := queue.of_template(waiting.template)) >= waiting.limit:
        found.append(f"The template {waiting.template} runs {count} of {waiting.limit} at once.")
    return found


def _workers(workers: Sequence[WorkerRecord], queue: Queue) -> list[str]:
    alive = [worker for worker in workers if worker.alive]
    if not alive:
        return [_NO_WORKER]
    slots = sum(worker.slots.get(queue.lane.value, 0) for worker in alive)
    names = {worker.name for worker in alive}
    taken = sum(run.worker in names for run in queue.running_here())
    if taken < slots:
        return []
    many = f"{len(alive)} workers" if len(alive) > 1 else "the only worker"
    return [f"All {slots} slots of {many} are busy." if slots > 1 else f"The only slot of {many} is busy."]


def _running(tx: Transaction, deployment: Deployment, now: datetime) -> list[str]:
    workers = {worker.name: worker for worker in tx.workers.all()}
    environment = deployment.environment_id
    run = next((run for run in tx.deployments.running() if run.id == deployment.id), None)
    worker = workers.get(deployment.worker or "")
    on = f" on {worker.host}" if worker else ""
    since = f" since {_moment(deployment.started_at)}" if deployment.started_at else ""
    reasons = [f"Worker {deployment.worker}{on} runs it{since}."]
    steps = [step for step in tx.journal.steps(deployment.id) if step.state is StepState.RUNNING]
    reasons += [
        f"Step {step.name} ({step.uses}) runs{_for(step.started_at, now)}"
        f"{f', for the {step.attempts}. time' if step.attempts > 1 else ''}."
        for step in steps
    ]
    if deployment.cancel_requested_at is not None:
        forced = " without grace" if deployment.cancel_forced else ""
        reasons.append(
            f"{deployment.cancel_requested_by} requested cancellation{forced} at "
            f"{_moment(deployment.cancel_requested_at)}: "
            "it ends as soon as its steps can stop."
        )
    if any(lane_of(other.kind) is not lane_of(deployment.kind) for other in tx.deployments.unfinished(environment)):
        reasons.append("A request to destroy the environment supersedes it: it ends as soon as its steps can stop.")
    others = any(other.alive for other in workers.values())
    return [*reasons, *_lease(run, worker, others)]


def _lease(run: Running | None, worker: WorkerRecord | None, somebody: bool) -> list[str]:
    """Whether the worker still holds the lease, and who resumes the deployment if not."""
    if run is None or (run.lease_left > 0 and (worker is None or worker.alive)):
        return []
    if run.lease_left > 0:
        left = format_duration(timedelta(seconds=max(run.lease_left, 1)))
        return [f"That worker has sent no heartbeat lately: in {left} another worker may resume the deployment."]
    if not somebody:
        return [f"The lease of that worker has expired. {_NO_WORKER}"]
    return [
        "The lease of that worker has expired: the next worker with a free slot resumes the deployment at the "
        "interrupted step."
    ]


def _ended(deployment: Deployment) -> str:
    at = f" at {_moment(deployment.ended_at)}" if deployment.ended_at else ""
    why = f": {deployment.failure.message}" if deployment.failure else "."
    return {
        DeploymentState.SUCCEEDED: f"It has succeeded{at}.",
        DeploymentState.FAILED: f"It has failed{at}{why}",
        DeploymentState.CANCELLED: f"It was cancelled{at}{why}",
        DeploymentState.SUPERSEDED: f"A request to destroy the environment superseded it{at}.",
    }[deployment.state]


def _for(since: datetime | None, now: datetime) -> str:
    return "" if since is None else f" since {_moment(since)} ({format_duration(now - since)})"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
