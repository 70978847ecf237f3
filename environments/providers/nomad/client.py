"""The client of Nomad: python-nomad, and its HTTP session for calls that the library doesn't have."""

import re
from typing import Any
from urllib.parse import quote

import nomad

from environments.domain.errors import BackendError, InvalidJob
from environments.providers.backend.link import CALL_LIMIT, Missing
from environments.providers.nomad.answers import (
    allocation,
    job_plan,
    lacks_bridge,
    lacks_drivers,
    rollout,
    why_unplaced,
)
from environments.providers.nomad.namespace_client import NamespaceCalls
from environments.providers.nomad.ports import Allocation, Evaluation, Job, JobPlan, Rollout

_ENDED = re.compile("not running|not found|no such container", re.IGNORECASE)
"""The answers of Nomad and its drivers to a signal for a task that has ended."""

_WAITING = ("pending", "blocked")
"""States of evaluations after which another one follows."""

_CHAIN = 20
"""The most evaluations of one chain that are followed."""


class NomadClient(NamespaceCalls):
    """Implements `NomadApi` with python-nomad."""

    def parse(self, text: str, variables: str) -> Job:
        """The canonical job of a job file."""
        # The library's own `parse` can't pass variables.
        body = {"JobHCL": text, "Variables": variables, "Canonicalize": True}
        try:
            job: Job = self._link.call(
                "parse a job file",
                lambda client: client.jobs.request("parse", json=body, method="post", timeout=CALL_LIMIT).json(),
            )
        except BackendError as error:
            raise _rejected(error) from error
        return job

    def job(self, namespace: str, job: str) -> Job | None:
        """The registered job."""
        found: Job | None = self._maybe("read a job", lambda client: self._get(client.job, namespace, _escape(job)))
        return found

    def jobs(self, namespace: str) -> list[str]:
        """Ids of all jobs of a namespace."""
        found = self._maybe("list jobs", lambda client: client.jobs.get_jobs(namespace=namespace))
        return [job["ID"] for job in found or ()]

    def register(self, namespace: str, job: Job, index: int) -> str:
        """Registers the job if its modify index still is `index`."""
        body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": index}
        try:
            answer = self._link.call(
                "register a job",
                lambda client: client.jobs.request(
                    json=body, method="post", params={"namespace": namespace}, timeout=CALL_LIMIT
                ).json(),
            )
        except BackendError as error:
            raise _rejected(error) from error
        return str(answer.get("EvalID") or "")

    def plan(self, namespace: str, job: Job) -> JobPlan:
        """What `register` would do, according to Nomad's scheduler."""
        # The library's own method sets no time limit.
        body = {"Job": job, "Diff": True}
        try:
            answer = self._link.call(
                "plan a job",
                lambda client: client.job.request(
                    _escape(job["ID"]),
                    "plan",
                    json=body,
                    method="post",
                    params={"namespace": namespace},
                    timeout=CALL_LIMIT,
                ).json(),
            )
        except BackendError as error:
            raise _rejected(error) from error
        return job_plan(answer)

    def validate(self, job: Job) -> list[str]:
        """The faults that Nomad finds in a job."""
        # The library's own method sets no time limit.
        answer = self._link.call(
            "validate a job",
            lambda client: client.validate.request("job", json={"Job": job}, method="post", timeout=CALL_LIMIT).json(),
        )
        return [str(found) for found in answer.get("ValidationErrors") or ()]

    def evaluation(self, namespace: str, evaluation: str) -> Evaluation | None:
        """The newest evaluation of the chain that begins with that one."""
        found: dict[str, Any] | None = None
        following: str | None = evaluation
        for _ in range(_CHAIN):
            if not following:
                break
            newer = self._evaluation(namespace, following)
            if newer is None:
                break
            found, following = newer, newer.get("NextEval") or newer.get("BlockedEval")
            if newer.get("FailedTGAllocs"):
                break
        if found is None:
            return None
        failed = found.get("FailedTGAllocs") or {}
        unplaced = {group: why_unplaced(metric) for group, metric in failed.items()}
        without_drivers = frozenset(group for group, metric in failed.items() if lacks_drivers(metric))
        without_bridge = frozenset(group for group, metric in failed.items() if lacks_bridge(metric))
        description = found.get("StatusDescription") or ""
        return Evaluation(found["Status"], description, unplaced, without_drivers, without_bridge)

    def newest_evaluation(self, namespace: str, job: str) -> str:
        """The id of the last evaluation of the job."""
        # A cancelled evaluation was superseded by a newer one, which has been decided already.
        decided = [item for item in self._evaluations(namespace, job) if item["Status"] != "canceled"]
        newest = max(decided, key=lambda item: item["CreateIndex"], default=None)
        return "" if newest is None else str(newest["ID"])

    def goes_on(self, namespace: str, job: str) -> bool:
        """Whether an evaluation is waiting: for its time, for resources, or for the scheduler."""
        return any(item["Status"] in _WAITING for item in self._evaluations(namespace, job))

    def allocations(
        self, namespace: str, job: str, *, index: int = 0, wait: float = 0.0
    ) -> tuple[int, list[Allocation]]:
        """The job's allocations; waits for a change from `index`, `wait` seconds at most."""
        params: dict[str, Any] = {"namespace": namespace}
        if index and wait:
            params |= {"index": index, "wait": f"{int(wait * 1000)}ms"}

        def get(client: nomad.Nomad) -> tuple[str, Any]:
            response = client.job.request(
                _escape(job), "allocations", method="get", params=dict(params), timeout=CALL_LIMIT + wait
            )
            return response.headers.get("X-Nomad-Index", ""), response.json()

        try:
            newest, listed = self._link.call("list allocations", get)
        except Missing:
            return 0, []
        return int(newest) if newest.isdecimal() else 0, [allocation(item) for item in listed or ()]

    def rollout(self, namespace: str, job: str) -> Rollout | None:
        """The job's newest deployment."""
        found = self._maybe(
            "read a deployment", lambda client: self._get(client.job, namespace, _escape(job), "deployment")
        )
        return rollout(found) if found else None

    def promote(self, namespace: str, rollout: str) -> None:
        """Promotes all canaries of a deployment."""
        body = {"DeploymentID": rollout, "All": True}
        self._link.call(
            "promote canaries",
            lambda client: client.deployment.request(
                "promote",
                rollout,
                json=body,
                method="post",
                params={"namespace": namespace},
                timeout=CALL_LIMIT,
            ).json(),
        )

    def signal(self, namespace: str, allocation: str, task: str, signal: str) -> None:
        """Sends a signal to a task."""
        body = {"Signal": signal, "Task": task}
        try:
            self._maybe(
                "send a signal",
                lambda client: (
                    client.client.allocation.request(
                        allocation,
                        "signal",
                        json=body,
                        method="post",
                        params={"namespace": namespace},
                        timeout=CALL_LIMIT,
                    ).status_code
                ),
            )
        except BackendError as error:
            if not _ENDED.search(str(error.details.get("said", ""))):
                raise

    def log_tail(self, namespace: str, allocation: str, task: str, size: int) -> str:
        """The last `size` bytes of a task's standard error; "" when the node can't be asked."""
        params = {
            "namespace": namespace,
            "task": task,
            "type": "stderr",
            "origin": "end",
            "offset": size,
            "plain": "true",
        }
        try:
            response = self._link.call(
                "read a log",
                lambda client: client.client.stream_logs.request(
                    allocation, method="get", params=dict(params), timeout=CALL_LIMIT
                ),
            )
        except (Missing, BackendError):
            # The log is an addition to a failure's message, which must be shown even without it.
            return ""
        return str(response.content.decode(errors="replace"))

    def deregister(self, namespace: str, job: str, *, purge: bool) -> None:
        """Stops a job; with `purge`, Nomad also deletes its record."""
        params = {"namespace": namespace, "purge": "true" if purge else "false"}
        self._maybe(
            "stop a job",
            lambda client: client.job.request(
                _escape(job), method="delete", params=dict(params), timeout=CALL_LIMIT
            ).json(),
        )

    def _get(self, requester: Any, namespace: str, *path: str) -> Any:
        return requester.request(*path, method="get", params={"namespace": namespace}, timeout=CALL_LIMIT).json()

    def _evaluations(self, namespace: str, job: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] | None = self._maybe(
            "list evaluations", lambda client: self._get(client.job, namespace, _escape(job), "evaluations")
        )
        return found or []

    def _evaluation(self, namespace: str, evaluation: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._maybe(
            "read an evaluation", lambda client: self._get(client.evaluation, namespace, evaluation)
        )
        return found


def _rejected(error: BackendError) -> BackendError | InvalidJob:
    """Nomad's reason for rejecting a job, as an error about the job."""
    if error.transient or error.details.get("status") not in (400, 500):
        return error
    return InvalidJob(f"Nomad rejects the job: {error.details.get('said', error.message)}.")


def _escape(job: str) -> str:
    return quote(job, safe="")
