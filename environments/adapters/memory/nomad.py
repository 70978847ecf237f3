"""Nomad in memory: jobs that start at once, as far as their fate allows."""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from environments.adapters.memory.consul import MemoryConsul
from environments.adapters.memory.nomad_diff import plan_of, specification
from environments.domain.errors import BackendError, InvalidJob
from environments.executors.consul_services import Instance
from environments.executors.nomad_ports import Allocation, Evaluation, Job, JobPlan, Rollout, Task, TaskEvent


class Fate(StrEnum):
    """What becomes of the jobs of a memory twin."""

    HEALTHY = "healthy"
    FAILING = "failing"
    WITHOUT_ROOM = "without room"
    NEVER_HEALTHY = "never healthy"


@dataclass
class _Registered:
    job: Job
    allocations: list[Allocation] = field(default_factory=list)
    rollout: Rollout | None = None


class MemoryNomad:
    """Implements `Scheduler`. Services of healthy jobs appear in `consul`, if there is one.

    `fate` may be changed at any time, for jobs registered from then on.
    """

    def __init__(self, consul: MemoryConsul | None = None) -> None:
        self.fate = Fate.HEALTHY
        self.registrations = 0
        self._consul = consul
        self._changed = threading.Condition()
        self._index = 1
        self._namespaces: dict[str, dict[str, str]] = {"default": {}}
        self._jobs: dict[tuple[str, str], _Registered] = {}
        self._variables: dict[tuple[str, str], dict[str, str]] = {}
        self._evaluations: dict[str, Evaluation] = {}
        self._volumes: list[tuple[str, str]] = []
        self._forgotten: list[tuple[str, str]] = []

    def parse(self, text: str, variables: str) -> Job:
        """Understands as much of HCL as its tests need: one group and task, services' names, templates' data."""
        values = {
            name: json.loads(re.sub(r"\\U([0-9a-f]{8})", lambda found: chr(int(found[1], 16)), value))
            for name, value in re.findall(r"(?m)^(\w+) = (.*)$", variables)
        }
        values = {**dict.fromkeys(re.findall(r'variable "(\w+)"', text), 1), **values}
        label = re.search(r'job "([^"]+)"', text)
        if label is None or text.count("{") != text.count("}"):
            raise InvalidJob("Nomad rejects the job: the job file can't be parsed.")

        def filled(quoted: str) -> str:
            return re.sub(r"\$\{var\.(\w+)\}", lambda found: str(values[found[1]]), quoted)

        kind = re.search(r'type\s*=\s*"(service|batch|system)"', text)
        count = re.search(r"count\s*=\s*(?:var\.(\w+)|(\d+))", text)
        number = values[count[1]] if count and count[1] else count[2] if count else 1
        if not re.fullmatch(r"-?\d+", str(number)):
            raise InvalidJob("Nomad rejects the job: the count is no number.")
        namespace = re.search(r'namespace\s*=\s*"([^"]*)"', text)
        services = re.findall(r'service\s*\{\s*name\s*=\s*"([^"]*)"', text)
        templates = re.findall(r'data\s*=\s*"([^"]*)"', text)
        image = re.search(r'image\s*=\s*(?:var\.(\w+)|"([^"]*)")', text)
        config = {"image": str(values[image[1]] if image[1] else image[2])} if image else {}
        return {
            "ID": label[1],
            "Name": label[1],
            "Namespace": namespace[1] if namespace else "default",
            "Type": kind[1] if kind else "service",
            "TaskGroups": [
                {
                    "Name": "group",
                    "Count": int(number),
                    "Update": {"MaxParallel": 1, "HealthCheck": "checks"},
                    "Services": [{"Name": filled(name), "Provider": "consul"} for name in services],
                    "Tasks": [
                        {
                            "Name": "task",
                            "Config": config,
                            "Templates": [
                                {"DestPath": f"local/{number}", "EmbeddedTmpl": filled(data)}
                                for number, data in enumerate(templates)
                            ],
                        }
                    ],
                }
            ],
        }

    def job(self, namespace: str, job: str) -> Job | None:
        """The registered job."""
        found = self._jobs.get((namespace, job))
        return None if found is None else dict(found.job)

    def jobs(self, namespace: str) -> list[str]:
        """Ids of all jobs of a namespace."""
        return [job for place, job in self._jobs if place == namespace]

    def register(self, namespace: str, job: Job, index: int) -> str:
        """Registers a job. The same one again changes nothing."""
        with self._changed:
            if namespace not in self._namespaces:
                raise InvalidJob(f"Nomad rejects the job: nonexistent namespace {namespace!r}.")
            present = self._jobs.get((namespace, job["ID"]))
            if (present.job["JobModifyIndex"] if present else 0) != index:
                raise InvalidJob("Nomad rejects the job: Enforcing job modify index: it has changed.")
            self.registrations += 1
            self._bump()
            evaluation = f"evaluation-{self._index}"
            self._evaluations[evaluation] = Evaluation("complete")
            if present and not present.job["Stop"] and specification(present.job) == specification(job):
                return evaluation
            version = present.job["Version"] + 1 if present else 0
            registered = _Registered({**job, "JobModifyIndex": self._index, "Version": version, "Stop": False})
            registered.allocations = [] if present is None else list(present.allocations)
            self._jobs[namespace, job["ID"]] = registered
            self._start(registered, evaluation)
            return evaluation

    def plan(self, namespace: str, job: Job) -> JobPlan:
        """What `register` would do."""
        if namespace not in self._namespaces:
            raise InvalidJob(f"Nomad rejects the job: nonexistent namespace {namespace!r}.")
        present = self._jobs[namespace, job["ID"]].job
        return plan_of(present, job)

    def evaluation(self, namespace: str, evaluation: str) -> Evaluation | None:
        """What was decided."""
        return self._evaluations.get(evaluation)

    def allocations(
        self, namespace: str, job: str, *, index: int = 0, wait: float = 0.0
    ) -> tuple[int, list[Allocation]]:
        """The job's allocations; waits for any change after `index`, `wait` seconds at most."""
        with self._changed:
            if index and wait:
                self._changed.wait_for(lambda: self._index > index, timeout=wait)
            found = self._jobs.get((namespace, job))
            return self._index, list(found.allocations) if found else []

    def rollout(self, namespace: str, job: str) -> Rollout | None:
        """The job's newest deployment."""
        found = self._jobs.get((namespace, job))
        return found.rollout if found else None

    def log_tail(self, namespace: str, allocation: str, task: str, size: int) -> str:
        """What failing tasks write."""
        return "cannot open the door\n"[-size:] if self.fate is Fate.FAILING else ""

    def deregister(self, namespace: str, job: str, *, purge: bool) -> None:
        """Stops a job at once."""
        with self._changed:
            found = self._jobs.get((namespace, job))
            if found is None:
                return
            found.job["Stop"] = True
            found.allocations = [replace(item, desired="stop", client="complete") for item in found.allocations]
            for service in self._consul.services("") if self._consul else ():
                assert self._consul is not None
                for instance in self._consul.instances(service)[1]:
                    if any(item.id in instance.id for item in found.allocations):
                        self._consul.deregister(instance)
            if purge:
                del self._jobs[namespace, job]
            self._bump()

    def namespace(self, name: str) -> dict[str, str] | None:
        """The namespace's metadata."""
        return self._namespaces.get(name)

    def write_namespace(self, name: str, description: str, metadata: Mapping[str, str]) -> None:
        """Makes or changes a namespace."""
        self._namespaces[name] = dict(metadata)

    def remove_namespace(self, name: str) -> None:
        """Removes a namespace without jobs."""
        if self.jobs(name):
            raise BackendError(f'Nomad failed to delete a namespace: namespace "{name}" has non-terminal jobs.')
        if self.variables(name) or self.volumes(name):
            raise BackendError(f'Nomad failed to delete a namespace: namespace "{name}" has variables or volumes.')
        self._namespaces.pop(name, None)

    def running(self, namespace: str) -> dict[str, int]:
        """How many allocations of each job haven't ended."""
        found = {job: item.allocations for (place, job), item in self._jobs.items() if place == namespace}
        counts = {job: sum(not item.terminal for item in allocations) for job, allocations in found.items()}
        forgotten = {job: 1 for place, job in self._forgotten if place == namespace}
        return {job: count for job, count in {**counts, **forgotten}.items() if count}

    def volumes(self, namespace: str) -> list[str]:
        """Ids of the namespace's volumes."""
        return [volume for place, volume in self._volumes if place == namespace]

    def remove_volume(self, namespace: str, volume: str) -> None:
        """Deletes a volume."""
        self._volumes = [found for found in self._volumes if found != (namespace, volume)]

    def variables(self, namespace: str) -> list[str]:
        """Paths of variables in a namespace."""
        return [path for place, path in self._variables if place == namespace]

    def remove_variable(self, namespace: str, path: str) -> None:
        """Removes a variable."""
        self._variables.pop((namespace, path), None)

    def write_variable(self, namespace: str, path: str, items: Mapping[str, str]) -> None:
        """What a job does."""
        self._variables[namespace, path] = dict(items)

    def write_volume(self, namespace: str, volume: str) -> None:
        """What a person does."""
        self._volumes.append((namespace, volume))

    def purge_at_once(self, namespace: str, job: str) -> None:
        """What a person does who doesn't wait: the job is forgotten while an instance of it still runs."""
        del self._jobs[namespace, job]
        self._forgotten.append((namespace, job))

    def scale(self, namespace: str, job: str, count: int) -> None:
        """What a person does: another count, as a new version."""
        present = self._jobs[namespace, job].job
        groups = [{**group, "Count": count} for group in present["TaskGroups"]]
        self.register(namespace, {**present, "TaskGroups": groups}, present["JobModifyIndex"])

    def give_up(self, namespace: str, job: str) -> None:
        """What happens: an instance fails once too often, long after its deployment succeeded."""
        with self._changed:
            found = self._jobs[namespace, job]
            last = found.allocations[-1]
            found.allocations[-1] = replace(last, client="failed", healthy=False)
            self._bump()

    def kill_from_outside(self, namespace: str, job: str, at: int) -> None:
        """What another Nomad on the engine does: a task's container is removed, and Nomad starts another."""
        with self._changed:
            found = self._jobs[namespace, job]
            last = found.allocations[-1]
            (task,) = last.tasks
            events = (
                TaskEvent(at, "Terminated", 'Exit Code: 137, Exit Message: "killed"', failed=True, from_outside=True),
                TaskEvent(at + 1, "Restarting", "Task restarting in 15s"),
                TaskEvent(at + 2, "Started", "Task started by client"),
            )
            found.allocations[-1] = replace(last, tasks=(replace(task, events=(*task.events, *events)),))
            self._bump()

    def _start(self, registered: _Registered, evaluation: str) -> None:
        job, version = registered.job, registered.job["Version"]
        if self.fate is Fate.WITHOUT_ROOM:
            self._evaluations[evaluation] = Evaluation("complete", "", {"group": "1 node has no room for memory"})
            return
        old = [replace(item, desired="stop", client="complete") for item in registered.allocations]
        group = job["TaskGroups"][0]
        new = [self._allocation(job, number) for number in range(group["Count"])]
        registered.allocations = old + new
        if job["Type"] == "service":
            states = {Fate.HEALTHY: "successful", Fate.FAILING: "failed"}
            registered.rollout = Rollout(version, states.get(self.fate, "running"), "")
        for allocation in new:
            for number, service in enumerate(group["Services"] if self._consul else ()):
                assert self._consul is not None
                identifier = f"_nomad-task-{allocation.id}-{service['Name']}"
                metadata = service.get("Meta") or {}
                passing = self.fate is Fate.HEALTHY
                self._consul.register(
                    Instance(identifier, service["Name"], "node", "127.0.0.1", 20000 + number, (), metadata, passing)
                )

    def _allocation(self, job: Job, number: int) -> Allocation:
        failing = self.fate is Fate.FAILING
        done = job["Type"] == "batch" and not failing
        event = TaskEvent(1, "Terminated", "Exit Code: 1", failed=True) if failing else TaskEvent(1, "Started", "")
        task = Task("task", "dead" if failing or done else "running", failing, (event,))
        return Allocation(
            id=f"{job['Namespace']}-{job['ID']}-{job['Version']}-{number}",
            job_version=job["Version"],
            group="group",
            desired="run",
            client="failed" if failing else "complete" if done else "running",
            healthy={Fate.HEALTHY: True, Fate.FAILING: False}.get(self.fate) if job["Type"] == "service" else None,
            tasks=(task,),
        )

    def _bump(self) -> None:
        self._index += 1
        self._changed.notify_all()
