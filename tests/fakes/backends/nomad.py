"""Nomad in memory: jobs that start at once, as far as their fate allows."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from environments.domain.errors import BackendError, InvalidJob
from environments.providers.consul.ports import Instance
from environments.providers.nomad.ports import Allocation, Evaluation, GivenPort, Job, JobPlan, Rollout, TaskEvent
from tests.fakes.backends.consul import MemoryConsul
from tests.fakes.backends.nomad_diff import plan_of, specification
from tests.fakes.backends.nomad_instances import Fate, Registered, allocation, killed, stopped
from tests.fakes.backends.nomad_parse import parse


class MemoryNomad:
    """Implements `NomadApi`. Services of healthy jobs appear in `consul`, if there is one.

    `fate` may be changed at any time, for jobs registered from then on; so may `token`, which is who registers them.
    """

    def __init__(self, consul: MemoryConsul | None = None) -> None:
        self.fate = Fate.HEALTHY
        self.token = "token"
        self.registrations = 0
        self.stops_slowly = False
        """Whether tasks that are asked to stop go on until `finish_stopping`."""
        self.poststop_hangs = False
        """Whether tasks that run after the others never end by themselves."""
        self.poststop_restarts = 0
        """How often a task that is killed is started again."""
        self.follows: set[tuple[str, str]] = set()
        """Jobs (namespace, id) of which Nomad will start another instance later."""
        self.signals: list[tuple[str, str]] = []
        self.static_ports: list[tuple[str, GivenPort]] = []
        """More ports (namespace, port), such as jobs choose themselves."""
        self._consul = consul
        self._changed = threading.Condition()
        self._index = 1
        self._namespaces: dict[str, dict[str, str]] = {"default": {}}
        self._jobs: dict[tuple[str, str], Registered] = {}
        self._variables: dict[tuple[str, str], dict[str, str]] = {}
        self._evaluations: dict[str, Evaluation] = {}
        self._volumes: list[tuple[str, str]] = []
        self._forgotten: list[tuple[str, str]] = []

    def parse(self, text: str, variables: str) -> Job:
        """Understands as much of HCL as its tests need: one group and task, services' names, templates' data."""
        return parse(text, variables)

    def job(self, namespace: str, job: str) -> Job | None:
        """The registered job."""
        found = self._jobs.get((namespace, job))
        if found is None:
            return None
        dead = bool(found.allocations) and all(item.terminal for item in found.allocations)
        return {**found.job, "Status": "dead" if dead else "running"}

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
            same = present and not present.job["Stop"] and specification(present.job) == specification(job)
            if present and same and present.job["NomadTokenID"] == self.token:
                present.evaluation = evaluation
                return evaluation
            version = present.job["Version"] + 1 if present else 0
            of_nomad = {"JobModifyIndex": self._index, "Version": version, "Stop": False, "NomadTokenID": self.token}
            registered = Registered({**job, **of_nomad})
            registered.evaluation = evaluation
            registered.allocations = [] if present is None else list(present.allocations)
            self._jobs[namespace, job["ID"]] = registered
            if present and same and job["Type"] != "batch":
                registered.go_on(present)
                return evaluation
            self._start(registered, evaluation, present)
            self._withdraw(registered)
            return evaluation

    def plan(self, namespace: str, job: Job) -> JobPlan:
        """What `register` would do."""
        if namespace not in self._namespaces:
            raise InvalidJob(f"Nomad rejects the job: nonexistent namespace {namespace!r}.")
        present = self._jobs[namespace, job["ID"]].job
        return plan_of(present, job)

    def validate(self, job: Job) -> list[str]:
        """Finds tasks of one name, which is what its tests need."""
        found = []
        for group in job["TaskGroups"]:
            names = [task["Name"] for task in group["Tasks"]]
            wrong = [
                f"Task {number + 1} redefines {name!r} from task {names.index(name) + 1}"
                for number, name in enumerate(names)
                if names.index(name) < number
            ]
            count = f"{len(wrong)} error{'' if len(wrong) == 1 else 's'} occurred:"
            lines = [f"Task group {group['Name']} validation failed: {count}", *(f"\t* {line}" for line in wrong)]
            found += ["\n".join(lines)] if wrong else []
        return found

    def evaluation(self, namespace: str, evaluation: str) -> Evaluation | None:
        """What was decided."""
        return self._evaluations.get(evaluation)

    def newest_evaluation(self, namespace: str, job: str) -> str:
        """The id of the last evaluation of the job."""
        found = self._jobs.get((namespace, job))
        return found.evaluation if found else ""

    def goes_on(self, namespace: str, job: str) -> bool:
        """Whether it waits for room, or for another instance."""
        found = self._evaluations.get(self.newest_evaluation(namespace, job))
        return (namespace, job) in self.follows or bool(found and found.unplaced)

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

    def promote(self, namespace: str, rollout: str) -> None:
        """Promotes the canaries of a deployment."""
        with self._changed:
            known = (item for item in self._jobs.values() if item.rollout and item.rollout.id == rollout)
            found = next(known, None)
            if found is None or found.rollout is None or found.rollout.status != "running":
                raise BackendError(f"Nomad failed to promote canaries: deployment {rollout!r} has a terminal status.")
            healthy = sum(item.healthy is True for item in found.canaries)
            if healthy < (wanted := sum(found.rollout.unpromoted.values())):
                said = f'Task group "group" has {healthy}/{wanted} healthy allocations'
                raise BackendError(f"Nomad failed to promote canaries: {said}.")
            self._promote(found)
            self._bump()

    def signal(self, namespace: str, allocation: str, task: str, signal: str) -> None:
        """Kills a task, which its restart policy may start again."""
        with self._changed:
            self.signals.append((task, signal))
            for found in self._jobs.values():
                found.allocations = [
                    killed(item, task, again=len(self.signals) <= self.poststop_restarts)
                    if item.id == allocation and not item.terminal
                    else item
                    for item in found.allocations
                ]
            self._bump()

    def log_tail(self, namespace: str, allocation: str, task: str, size: int) -> str:
        """What failing tasks write."""
        return "cannot open the door\n"[-size:] if self.fate is Fate.FAILING else ""

    def deregister(self, namespace: str, job: str, *, purge: bool) -> None:
        """Stops a job at once, unless tasks of it are slow."""
        with self._changed:
            found = self._jobs.get((namespace, job))
            if found is None:
                return
            if not found.job["Stop"]:
                found.job["Stop"] = True
                found.allocations = [
                    stopped(item, found.job, slowly=self.stops_slowly, poststop_hangs=self.poststop_hangs)
                    for item in found.allocations
                ]
            self._withdraw(found)
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

    def given_ports(self, namespace: str) -> list[GivenPort]:
        """Ports of the services of running instances, and those of `static_ports`."""
        found = [
            GivenPort("127.0.0.1", 20000 + 100 * one.job_version + number, True)
            for (place, _), item in self._jobs.items()
            if place == namespace
            for one in item.allocations
            if one.client == "running"
            for number, _ in enumerate(item.job["TaskGroups"][0]["Services"])
        ]
        return found + [port for place, port in self.static_ports if place == namespace]

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

    def finish_stopping(self, namespace: str, job: str) -> None:
        """What happens: slow tasks have ended."""
        with self._changed:
            found = self._jobs[namespace, job]
            found.stop(found.allocations)
            self._bump()

    def fail_rollout(self, namespace: str, job: str, why: str) -> None:
        """What happens: the job's deployment fails, such as for a canary that has failed."""
        with self._changed:
            found = self._jobs[namespace, job]
            assert found.rollout is not None
            found.rollout = replace(found.rollout, status="failed", description=why)
            self._bump()

    def collect_garbage(self) -> None:
        """What happens some hours after a job has ended: Nomad forgets it, and all that ran of it."""
        for (namespace, job), found in list(self._jobs.items()):
            if found.job["Type"] == "batch" and all(item.terminal for item in found.allocations):
                del self._jobs[namespace, job]

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

    def reschedule(self, namespace: str, job: str) -> None:
        """What happens some time after a failure: another instance is started in place of the one that failed last."""
        with self._changed:
            found = self._jobs[namespace, job]
            last = replace(found.allocations[-1], replaced=True)
            again = replace(allocation(found.job, 0, self.fate), id=f"{last.id}-again")
            found.allocations[-1:] = [last, again]
            self.follows.discard((namespace, job))
            self._bump()

    def forget_ended(self, namespace: str, job: str) -> None:
        """What happens with Nomad's next garbage collection: instances that have ended, and the deployment."""
        with self._changed:
            found = self._jobs[namespace, job]
            found.allocations = [item for item in found.allocations if not item.terminal]
            found.rollout = None
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

    def all_namespaces(self) -> frozenset[str]:
        """Names of all namespaces."""
        with self._changed:
            return frozenset(self._namespaces)

    def everything(self) -> tuple[int, list[tuple[str, Job, list[Allocation]]]]:
        """The index, and of all namespaces the jobs with their allocations."""
        with self._changed:
            found = [(place, dict(item.job), list(item.allocations)) for (place, _), item in self._jobs.items()]
            return self._index, found

    def wait_for_change(self, index: int, wait: float, over: Callable[[], bool]) -> bool:
        """Whether anything changed after that index, within `wait` seconds; waits no longer than until it is `over`."""
        with self._changed:
            self._changed.wait_for(lambda: self._index > index or over(), timeout=wait)
            return self._index > index

    def wake(self) -> None:
        """Lets whoever waits look whether it is over."""
        with self._changed:
            self._changed.notify_all()

    def _start(self, registered: Registered, evaluation: str, present: Registered | None) -> None:
        job, version = registered.job, registered.job["Version"]
        if self.fate is Fate.WITHOUT_ROOM:
            self._evaluations[evaluation] = Evaluation("complete", "", {"group": "1 node has no room for memory"})
            return
        group = job["TaskGroups"][0]
        stable = [] if present is None else [found for found in present.stable if not found.terminal]
        canaries = (group["Update"].get("Canary") or 0) if job["Type"] == "service" and stable else 0
        if canaries and present is not None and specification(present.stable_job) == specification(job):
            # Nothing of what runs differs: Nomad keeps it, as the new version.
            registered.replace(stable, [replace(found, job_version=version) for found in stable])
            registered.rollout = Rollout(version, "successful", id=f"rollout-{self._index}")
            registered.settle()
            return
        new = [allocation(job, number, self.fate) for number in range(canaries or group["Count"])]
        registered.stop([found for found in registered.allocations if not canaries or found not in stable])
        registered.allocations += new
        if job["Type"] == "service":
            states = {Fate.HEALTHY: "successful", Fate.HANGING_TASK: "successful", Fate.FAILING: "failed"}
            status = "running" if canaries else states.get(self.fate, "running")
            registered.rollout = Rollout(version, status, "", f"rollout-{self._index}")
        self._serve(registered, new)
        if canaries:
            assert present is not None
            registered.await_promotion(present, new)
            assert registered.rollout is not None
            if registered.rollout.promotes_itself and all(found.healthy for found in new):
                self._promote(registered)
        else:
            registered.settle()

    def _promote(self, registered: Registered) -> None:
        job, canaries = registered.job, list(registered.canaries)
        more = [allocation(job, number, self.fate) for number in range(len(canaries), job["TaskGroups"][0]["Count"])]
        registered.stop([found for found in registered.allocations if found not in canaries])
        registered.allocations += more
        assert registered.rollout is not None
        registered.rollout = replace(
            registered.rollout, status="successful", unpromoted={}, canaries=frozenset(), promotes_itself=False
        )
        registered.settle()
        self._serve(registered, more)
        self._withdraw(registered)

    def _serve(self, registered: Registered, new: list[Allocation]) -> None:
        """Consul learns of the services of instances."""
        for found in new:
            for number, service in enumerate(registered.job["TaskGroups"][0]["Services"] if self._consul else ()):
                assert self._consul is not None
                identifier = f"_nomad-task-{found.id}-{service['Name']}"
                metadata = service.get("Meta") or {}
                passing = self.fate in (Fate.HEALTHY, Fate.HANGING_TASK)
                port = 20000 + 100 * found.job_version + number
                self._consul.register(
                    Instance(identifier, service["Name"], "node", "127.0.0.1", port, (), metadata, passing)
                )

    def _withdraw(self, registered: Registered) -> None:
        """Consul forgets the services of instances that have ended."""
        for service in self._consul.services("") if self._consul else ():
            assert self._consul is not None
            for instance in self._consul.instances(service)[1]:
                if any(item.id in instance.id and item.terminal for item in registered.allocations):
                    self._consul.deregister(instance)

    def _bump(self) -> None:
        self._index += 1
        self._changed.notify_all()
