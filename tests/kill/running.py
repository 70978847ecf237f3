"""Runs cells of the kill matrix on a real cluster, and judges each by what the vendors' own APIs list."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx2

from environments.client import Client
from environments.client.bundles import read_bundle
from environments.domain.lifecycle import SWITCHES, DeploymentKind, State
from environments.domain.template import make_bundle
from environments.wire.environments import CreateRequest, UpdateRequest
from tests.fakes.counting_server import CountingServer
from tests.kill.points import POSTGRESQL, VARIABLE, Durations, Point, durations
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Census, Taker, describe
from tests.support.postgres import Postgres
from tests.support.service_process import ServiceProcess

HERE = Path(__file__).parent
WEB = HERE.parent.parent / "environments" / "templates" / "web"
TEMPLATE = "everything"

T = TypeVar("T")

_SECONDS = 120
"""How long a deployment may take in which something was killed."""


def push(client: Client) -> None:
    """Pushes the template: its own files, and the job file of `web`."""
    files = {**read_bundle(HERE / "template").files, "web.nomad.hcl": (WEB / "web.nomad.hcl").read_bytes()}
    client.push(make_bundle(files))


@dataclass(frozen=True)
class Verdict:
    """What came of a cell: `killed` is whether the victim died while the deployment ran; `faults` say what is wrong."""

    point: Point
    killed: bool
    seconds: float
    faults: tuple[str, ...] = ()


@dataclass
class Matrix:
    """A service, its cluster and the server that counts."""

    service: ServiceProcess
    cluster: Cluster
    taker: Taker
    things: CountingServer
    postgres: Postgres | None = None
    """What the service keeps its records in; None: SQLite."""
    _number: int = field(default=0, init=False)

    def prepare(self) -> None:
        """Pushes the template."""
        push(self.service.client)

    def undisturbed(self) -> Durations:
        """One life in peace: how long each step takes."""
        name = self._name()
        for kind, ask, right in self._asks():
            ask(name)
            assert self._ended(name, kind) is right, self.service.story(name)
        return durations(self.service.client.deployments(name))

    def run(self, point: Point) -> Verdict:
        """Create, what is meant, and destroy, with the kill in one; judges what is there then."""
        before, began, name = self._census(), time.monotonic(), self._name()
        faults: list[str] = []
        killed = False
        for kind, ask, right in self._asks():
            if not _belongs(kind, point.kind):
                continue
            if kind is point.kind:
                killed = self._with_kill(point, name, ask)
            else:
                ask(name)
            state = self._ended(name, kind)
            if state is not right:
                faults.append(f"{kind.value} ended {state.value}")
            if kind is point.kind and kind is not DeploymentKind.DESTROY:
                faults += self._running(name, kind)
                faults += self._objects(name, 3 if kind is DeploymentKind.UPDATE else 2)
        faults += self._left(name, before)
        if faults:
            faults.append(self.service.story(name))
        return Verdict(point, killed, time.monotonic() - began, tuple(faults))

    def _census(self) -> Census:
        return self._answered(self.taker.take)

    def _answered(self, ask: Callable[[], T]) -> T:
        """What the parts say, once the one that was killed is back."""
        end = time.monotonic() + _SECONDS
        while True:
            try:
                return ask()
            except (httpx2.TransportError, httpx2.HTTPStatusError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def _name(self) -> str:
        self._number += 1
        return f"kill-{'sqlite' if self.postgres is None else 'postgres'}-{self._number}"

    def _asks(self) -> Sequence[tuple[DeploymentKind, Callable[[str], None], State]]:
        """A life: what is asked for, how, and what the environment is when it has been done."""
        return (
            (DeploymentKind.CREATE, self._create, State.READY),
            (DeploymentKind.UPDATE, self._update, State.READY),
            (DeploymentKind.STOP, self._stop, State.STOPPED),
            (DeploymentKind.START, self._start, State.READY),
            (DeploymentKind.DESTROY, self._destroy, State.DESTROYED),
        )

    def _create(self, name: str) -> None:
        request = CreateRequest(name=name, template=TEMPLATE, parameters={"server": self.things.address})
        self.service.client.create(request)

    def _update(self, name: str) -> None:
        changed = {"objects": 3, "replicas": 2, "message": "second"}
        self.service.client.update(name, UpdateRequest(parameters=changed))

    def _stop(self, name: str) -> None:
        self.service.client.stop(name)

    def _start(self, name: str) -> None:
        self.service.client.start(name)

    def _destroy(self, name: str) -> None:
        self.service.client.destroy(name)

    def _ended(self, name: str, kind: DeploymentKind) -> State:
        """The environment's state once its newest deployment, of that kind, has ended."""
        end = time.monotonic() + _SECONDS
        while True:
            environment = self.service.client.environment(name)
            deployment = environment.deployment
            if deployment is not None and deployment.kind is kind and deployment.ended_at is not None:
                return environment.state
            assert time.monotonic() < end, f"{name} is {environment.state}:\n{self.service.story(name)}"
            time.sleep(0.02)

    def _objects(self, name: str, count: int) -> list[str]:
        wanted = [f"{name}-{number}" for number in range(count)]
        found = sorted(self.things.objects())
        return [] if found == wanted else [f"the module's objects are {found}, not {wanted}"]

    def _running(self, name: str, kind: DeploymentKind) -> list[str]:
        """Faults of what runs. Nomad may still have to tell a Consul that was killed that a service is stopped."""
        end = time.monotonic() + _SECONDS
        while True:
            faults = self._answered(lambda: [*self.taker.duplicates(name), *self._instances(name, kind)])
            if not faults or kind is not DeploymentKind.STOP or time.monotonic() > end:
                return faults
            time.sleep(0.5)

    def _instances(self, name: str, kind: DeploymentKind) -> list[str]:
        """Nomad runs as many instances as the job file says, and none of an environment that is stopped."""
        wanted = {DeploymentKind.STOP: 0, DeploymentKind.UPDATE: 2}.get(kind, 1)
        found = self.taker.instances(name)
        return [] if found == wanted else [f"{found} instances run, not {wanted}"]

    def _left(self, name: str, before: Census) -> list[str]:
        end = time.monotonic() + 120
        while True:
            # What the killed part itself does when it comes back (its own checks and leases) may take a moment.
            left = self._census().since(before)
            objects = [found for found in self.things.objects() if found.startswith(f"{name}-")]
            running = tofus(self.service.state)
            if not (left or objects or running) or time.monotonic() > end:
                break
            time.sleep(0.5)
        return [
            *([f"left over: {describe(left)}"] if left else []),
            *([f"objects left over: {objects}"] if objects else []),
            *([f"processes left over: {running}"] if running else []),
        ]

    # --- killing -----------------------------------------------------------------------------------------------------

    def _with_kill(self, point: Point, name: str, ask: Callable[[str], None]) -> bool:
        if point.victim != "worker":
            ask(name)
            return self._kill_other(point, name)
        self.service.stop()
        self.service.start(module="tests.kill.deadly", more={VARIABLE: point.model_dump_json()})
        ask(name)
        died = self._dies(name, point.kind)
        if not died:
            self.service.stop()
        self.service.start()
        return died

    def _dies(self, name: str, kind: DeploymentKind) -> bool:
        """Whether it killed itself before the deployment had ended."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            if not self.service.running:
                return True
            if self._over(name, kind):
                # The last write may be the very one at which it dies.
                time.sleep(0.3)
                return not self.service.running
            time.sleep(0.02)
        return False

    def _over(self, name: str, kind: DeploymentKind) -> bool:
        try:
            environment = self.service.client.environment(name)
        except Exception:  # noqa: BLE001 - it has just died, or is about to
            return False
        deployment = environment.deployment
        return deployment is not None and deployment.kind is kind and deployment.ended_at is not None

    def _kill_other(self, point: Point, name: str) -> bool:
        """SIGKILL of an agent (its supervisor starts it again), or of tofu, a while after the step's start."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            deployment = self.service.client.environment(name).deployment
            if deployment is not None and deployment.kind is point.kind:
                step = next((step for step in deployment.steps if step.name == point.step), None)
                if step is not None and step.started_at is not None:
                    break
                if deployment.ended_at is not None:
                    return False
            time.sleep(0.01)
        time.sleep(point.seconds)
        if point.victim == POSTGRESQL:
            assert self.postgres is not None
            self.postgres.kill()
            self.postgres.start()
            return True
        victims = self._victims(point.victim)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        return bool(victims)

    def _victims(self, victim: str) -> Sequence[int]:
        if victim == "tofu":
            return tofus(self.service.state)
        pid = self.cluster.agents.agent(victim).pid()
        return [] if pid is None else [pid]


def _belongs(kind: DeploymentKind, killed: DeploymentKind) -> bool:
    """Whether a deployment of this kind is part of the life in which one of the kind `killed` is disturbed."""
    if kind is DeploymentKind.UPDATE:
        return killed is DeploymentKind.UPDATE
    return kind not in SWITCHES or killed in SWITCHES


def tofus(state: Path) -> list[int]:
    """Processes of tofu (not of its watchdog) that work below the state folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                program = (process / "cmdline").read_bytes().split(b"\0")[0]
                if program.endswith(b"tofu") and str((process / "cwd").readlink()).startswith(str(state)):
                    found.append(int(process.name))
            except OSError:
                continue  # it has ended, or isn't ours to look at
    return found


def table(verdicts: Sequence[Verdict]) -> str:
    """What came of all cells, by deployment, step and victim, in Markdown."""
    lines = [
        "| deployment | step | killed | cells | died in time | ended wrong, left over or doubled |",
        "|---|---|---|--:|--:|--:|",
    ]
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        point = verdict.point
        what = point.victim if point.victim != "worker" else f"worker, {point.moment.value}"
        groups.setdefault((point.kind.value, point.step, what), []).append(verdict)
    for (kind, step, what), cells in groups.items():
        killed = sum(cell.killed for cell in cells)
        wrong = sum(bool(cell.faults) for cell in cells)
        lines.append(f"| {kind} | {step} | {what} | {len(cells)} | {killed} | {wrong} |")
    return "\n".join(lines)
