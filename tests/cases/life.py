"""The life of an environment of one case on a real cluster: what is wrong with it, as sentences.

What is there is asked of Nomad itself, not through Calvinverse's adapters.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from environments.client import Client
from environments.domain.environment import Event, EventType
from environments.domain.errors import CalvinverseError, InvalidTemplate
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.plan import summary
from environments.domain.template import Bundle
from environments.providers.backend.connections import Connections
from environments.wire.deployments import DeploymentView
from environments.wire.environments import Accepted, CreateRequest
from environments.wire.plans import PlanRequest
from tests.cases.table import Case, Ends
from tests.support.part_client import part_client

_LIMIT = 900.0
"""Seconds that one deployment may take at most: each has its own limits, which are shorter."""

_HELD = 8.0
"""Seconds after which an environment would be called degraded at the latest, if something were wrong with it."""

_RECOVERED = 60.0
"""Seconds after which it is no more, if only the machine was busy."""

_SETTLED = 20.0
"""Seconds that Nomad may take to stop what a new version replaces."""


@dataclass(frozen=True)
class Verdict:
    """What became of a case: `ended` as in the table, `said` what was said when it was refused or failed."""

    case: Case
    ended: str
    said: str
    seconds: float
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """What runs for an environment: job → version, the ids of its allocations, and how many log lines it has."""

    versions: dict[str, int]
    allocations: frozenset[str]
    lines: tuple[str, ...]


class Jobs:
    """What Nomad says of the jobs of environments."""

    def __init__(self, connections: Connections) -> None:
        self._client = part_client(connections, "nomad")

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def versions(self, environment: str) -> dict[str, int]:
        """Job → its version; those that a periodic job or a dispatch made are left out."""
        jobs = [job["ID"] for job in self._get("/v1/jobs", environment) if not job["ParentID"]]
        return {job: self._get(f"/v1/job/{job}", environment)["Version"] for job in jobs}

    def allocations(self, environment: str) -> list[dict[str, Any]]:
        """The allocations of those jobs."""
        jobs = self.versions(environment)
        return [item for item in self._get("/v1/allocations", environment) if item["JobID"] in jobs]

    def _get(self, path: str, environment: str) -> Any:
        answer = self._client.get(path, params={"namespace": environment})
        answer.raise_for_status()
        return answer.json()


@dataclass
class Life:
    """One environment of a case."""

    client: Client
    jobs: Jobs
    case: Case
    faults: list[str] = field(default_factory=list)
    said: str = ""

    @property
    def name(self) -> str:
        """Of the environment."""
        return environment_name(self.case)

    def live(self) -> Verdict:
        """From the check of the template to the destruction of the environment; never raises."""
        began = time.monotonic()
        ended = "broken"
        try:
            ended = self._live()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this case, and the others go on
            self.faults.append(f"{type(error).__name__}: {error}")
        if ended != self.case.ends:
            self.faults.insert(0, f"it has to be {self.case.ends.value}, and was {ended}")
        if self.faults:
            self.faults.append(self._story())
        return Verdict(self.case, ended, self.said, time.monotonic() - began, tuple(self.faults))

    def _live(self) -> str:
        bundle = self.case.bundle()
        if self._refused(bundle):
            return Ends.REFUSED.value
        digest = self.client.push(bundle).digest
        request = CreateRequest(
            name=self.name, template=bundle.template().name, digest=digest, parameters=self.case.parameters
        )
        created = self._ended(self.client.create(request))
        try:
            environment = self.client.environment(self.name)
            if environment.state is State.FAILED and environment.failure is not None:
                failure = environment.failure
                self.said = f"{failure.message} {failure.hint}".strip()
                self._says(self.said)
                if self.case.code not in ("", failure.code):
                    self.faults.append(f"the failure has the code {failure.code}, not {self.case.code}")
            elif environment.state is State.READY:
                self._check_ready(created, "create")
                self._outputs()
                if self.case.ends is Ends.READY:
                    self._updated_with_nothing()
                    self._updated_with_something(bundle)
                    self._observed()
            return environment.state.value
        finally:
            self._destroyed()

    def _refused(self, bundle: Bundle) -> bool:
        """Whether the template has faults; push must say the same."""
        found = self.client.validate(bundle)
        problems = found.problems
        self.said = "\n".join(problems)
        for text in self.case.warns:
            if not any(text in warning for warning in found.warnings):
                self.faults.append(f"no warning says {text!r}: {found.warnings}")
        try:
            self.client.push(bundle)
        except InvalidTemplate as error:
            if not problems:
                self.faults.append(f"validate finds no fault, and push does: {error.message}")
            refused = True
        else:
            if problems:
                self.faults.append("validate finds faults, and push takes it")
            refused = bool(problems)
        if refused and self.case.ends is Ends.REFUSED:
            for text in self.case.says:
                if not any(text in problem for problem in problems):
                    self.faults.append(f"no fault says {text!r}: {problems}")
        return refused

    def _says(self, said: str) -> None:
        if self.case.ends is Ends.FAILED:
            self.faults += [f"the failure doesn't say {text!r}: {said}" for text in self.case.says if text not in said]

    def _check_ready(self, deployment: DeploymentView | None, what: str) -> None:
        """It is ready, and nothing is held against it."""
        environment = self.client.environment(self.name)
        if environment.state is not State.READY:
            self.faults.append(f"after the {what} it is {environment.state.value}: {environment.failure}")
        if deployment is not None and deployment.state is not DeploymentState.SUCCEEDED:
            self.faults.append(f"the {what} ended as {deployment.state.value}: {deployment.failure}")
        if environment.failure is not None:
            self.faults.append(f"after the {what} it shows a failure: {environment.failure}")
        awaiting = environment.awaiting_promotion
        wanted = self.case.awaiting if what == "change" else ()
        if awaiting != wanted:
            self.faults.append(f"after the {what} {awaiting} await promotion, not {wanted}")

    def _outputs(self) -> None:
        if self.case.outputs:
            outputs = {name: output.value for name, output in self.client.outputs(self.name, reveal=True).items()}
            for name, value in self.case.outputs.items():
                if outputs.get(name) != value or type(outputs[name]) is not type(value):
                    self.faults.append(f"the output {name} is {outputs.get(name)!r}, not {value!r}")

    def _updated_with_nothing(self) -> None:
        """A plan of it finds nothing to do, and doing it changes nothing and says nothing."""
        before = self._seen()
        plan = self.client.plan(self.name, PlanRequest(kind=DeploymentKind.UPDATE))
        if any(step.changes or step.deferred for step in plan.steps):
            self.faults.append(f"with nothing changed, the plan of an update says: {_shown(plan.steps)}")
        deployment = self._ended(self.client.apply_plan(plan.id))
        self._check_ready(deployment, "update with nothing changed")
        after = self._seen()
        if after.versions != before.versions:
            self.faults.append(f"versions of jobs were {before.versions} and are {after.versions}")
        if after.allocations != before.allocations:
            self.faults.append(
                f"allocations came ({sorted(after.allocations - before.allocations)}) "
                f"or went ({sorted(before.allocations - after.allocations)})"
            )
        if after.lines != before.lines:
            self.faults.append(f"log lines came of what didn't happen: {after.lines[len(before.lines) :]}")

    def _updated_with_something(self, bundle: Bundle) -> None:
        """A plan says that something will change, and afterwards nothing is left to change."""
        change = self.case.change
        assert change is not None
        before = self._seen()
        digest = self.client.push(change.of(bundle)).digest if change.file else None
        wish = PlanRequest(kind=DeploymentKind.UPDATE, digest=digest, parameters=change.parameters or None)
        plan = self.client.plan(self.name, wish)
        if not any(step.changes for step in plan.steps):
            self.faults.append("with something changed, the plan of an update finds nothing to do")
        deployment = self._ended(self.client.apply_plan(plan.id))
        self._check_ready(deployment, "change")
        after = self._seen()
        if change.file.endswith(".nomad.hcl") and after.versions == before.versions:
            self.faults.append(f"a job file was changed, and the versions of jobs are still {after.versions}")
        if self.case.awaiting:
            self._ended(self.client.promote(self.name))
            self._check_ready(None, "promotion")
        self._only_newest_run(after.versions)
        again = self.client.plan(self.name, PlanRequest(kind=DeploymentKind.UPDATE))
        if any(step.changes or step.deferred for step in again.steps):
            self.faults.append(f"after the change, the plan of another update says: {_shown(again.steps)}")

    def _only_newest_run(self, versions: dict[str, int]) -> None:
        """What is wanted to run is of the newest version of its job, once Nomad has caught up."""

        def old() -> list[str]:
            return [
                f"{item['JobID']} {item['ID']} of version {item['JobVersion']}"
                for item in self.jobs.allocations(self.name)
                if item["ClientStatus"] == "running"
                and item["DesiredStatus"] == "run"
                and item["JobVersion"] != versions[item["JobID"]]
            ]

        end = time.monotonic() + _SETTLED
        while (found := old()) and time.monotonic() < end:
            time.sleep(0.2)
        if found:
            self.faults.append(f"after the change old allocations are still wanted: {found}")

    def _observed(self) -> None:
        """An observation finds that everything is as its steps made it, and it isn't called degraded."""
        found = self.client.observe(self.name).drift
        if found is None:
            self.faults.append("an observation has no time")
        elif found.found or found.troubles:
            self.faults.append(f"an observation found: {found.model_dump_json(exclude_defaults=True)}")
        time.sleep(_HELD)
        end = time.monotonic() + _RECOVERED
        while (reasons := self.client.environment(self.name).degraded) and time.monotonic() < end:
            time.sleep(0.5)
        if reasons:
            self.faults.append(f"it is degraded: {[reason.reason for reason in reasons]}")

    def _destroyed(self) -> None:
        self._ended(self.client.destroy(self.name, "the case is over"))
        environment = self.client.environment(self.name)
        if environment.state is not State.DESTROYED:
            self.faults.append(f"after the destroy it is {environment.state.value}: {environment.failure}")

    def _seen(self) -> Seen:
        lines = [event.message for event in self._events() if event.type is EventType.LOG]
        allocations = frozenset(item["ID"] for item in self.jobs.allocations(self.name))
        return Seen(self.jobs.versions(self.name), allocations, tuple(lines))

    def _events(self) -> list[Event]:
        found: list[Event] = []
        while page := self.client.history(self.name, after=found[-1].id if found else 0, limit=500):
            found += page
        return found

    def _ended(self, accepted: Accepted) -> DeploymentView | None:
        """The deployment once it has ended; None when the request needed none."""
        if accepted.deployment_id is None:
            return None
        deployment = accepted.deployment_id
        return _wait(lambda: self.client.deployment(deployment), lambda it: it.ended_at is not None)

    def _story(self) -> str:
        try:
            lines = [f"{event.at:%H:%M:%S.%f} {event.message}"[:300] for event in self._events()]
        except CalvinverseError:
            return ""
        return "\n".join([*lines[:100], *(["…"] if len(lines) > 200 else []), *lines[100:][-100:]])


def environment_name(case: Case) -> str:
    """What the environment of a case is called."""
    return f"c-{case.name}"[:40].rstrip("-")


def _shown(steps: Any) -> str:
    changes = [line for step in steps for change in step.changes for line in (str(change), *change.details)]
    return f"{summary(steps)}: {changes}"


def _wait(read: Callable[[], DeploymentView], done: Callable[[DeploymentView], bool]) -> DeploymentView:
    end = time.monotonic() + _LIMIT
    while True:
        found = read()
        if done(found):
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"the {found.kind.value} hasn't ended after {_LIMIT:.0f} s")
        time.sleep(0.2)
