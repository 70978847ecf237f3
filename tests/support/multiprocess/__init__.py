"""The service as several processes on one PostgreSQL: one answers, the others work, on things that are shared files."""

import json
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from environments.client import Client
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.wire.deployments import StepView
from environments.wire.environments import CreateRequest, EnvironmentView
from tests.support.multiprocess.shared_files import SHARED_FILES, Line, read_lines
from tests.support.postgres import Postgres
from tests.support.service_process import ServiceProcess

PATIENCE = 60.0
"""Seconds for what has no bar of its own; this machine may be busy with other things."""

TAKE_OVER = 30.0
"""Seconds after which a dead worker's deployment goes on elsewhere: what was promised."""

TEMPLATE = """
[template]
name = "gated"
version = "1"
[lifetime]
default = "8h"
maximum = "14d"
[[steps]]
name = "first"
uses = "test.gate"
[[steps]]
name = "gate"
uses = "test.gate"
needs = ["first"]
with = { waits = true }
[[steps]]
name = "last"
uses = "test.gate"
needs = ["gate"]
"""


class Member(ServiceProcess):
    """A process of the service."""

    def __init__(
        self,
        folder: Path,
        role: str,
        database: str,
        password_file: Path,
        files: Path,
        connections: Path | None = None,
        **settings: str,
    ) -> None:
        self.role = role
        shared = {
            "CALVINVERSE_DATABASE": database,
            "CALVINVERSE_DATABASE_PASSWORD_FILE": str(password_file),
            "CALVINVERSE_SEALING_KEY": str(folder.parent / "key"),
            "CALVINVERSE_SLOTS_DEPLOY": "1",
            SHARED_FILES: str(files),
        }
        super().__init__(folder, connections, CALVINVERSE_ROLE=role, **{**shared, **settings})

    def begin(self, module: str = "tests.support.multiprocess.program") -> "Member":
        """Starts it and waits until it answers."""
        self.start(PATIENCE, module=module)
        return self

    def ask(self) -> None:
        """A worker has no API and no token: it says whether it can work."""
        if self.role != "worker":
            super().ask()
            return
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/self/readiness")
            answer = connection.getresponse()
            if answer.status != 200:
                raise ConnectionError(f"not ready: {answer.read().decode()}")
        except HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def leads(self) -> bool:
        """Whether it is the leader, according to its log."""
        events = re.findall(r'"event": "(leader\.acquired|leader\.standby|leader\.lost)"', self.log.read_text())
        return self.running and events[-1:] == ["leader.acquired"]

    def says(self, event: str, **values: str) -> bool:
        """Whether its log has an event of that name with these values."""
        lines = self.log.read_text().splitlines()
        found = (json.loads(line) for line in lines if line.startswith("{") and f'"event": "{event}"' in line)
        return any(all(line.get(name) == value for name, value in values.items()) for line in found)


@dataclass
class MultiProcessService:
    """One process that serves the API and three workers."""

    postgres: Postgres
    files: Path
    api: Member
    workers: list[Member]

    @property
    def client(self) -> Client:
        """Of the process that answers."""
        return self.api.client

    def create(self, name: str) -> str:
        """Asks for an environment; the id of the deployment."""
        deployment_id = self.client.create(CreateRequest(name=name, template="gated")).deployment_id
        assert deployment_id is not None
        return deployment_id

    def open(self, name: str) -> None:
        """Lets its step `gate` go on."""
        (self.files / f"open-{name}").touch()

    def lines(self, verb: str, name: str, step: str = "gate") -> list[Line]:
        """What steps did: `begun` once for each attempt, `made` once for each thing made, `removed`."""
        return [line for line in read_lines(self.files) if line[:3] == (verb, name, step)]

    def member(self, line: Line) -> Member:
        """The worker that did it."""
        return next(worker for worker in self.workers if worker.running and worker.pid == line.pid)

    def at_gate(self, name: str, times: int = 1, seconds: float = PATIENCE) -> Line:
        """Waits until its step `gate` was begun so many times; the last one."""
        until(lambda: len(self.lines("begun", name)) >= times, seconds, f"{name} isn't at its gate {times} times")
        return self.lines("begun", name)[times - 1]

    def ready(self, name: str) -> EnvironmentView:
        """Waits until it is ready."""
        return self.api.wait_for(name, State.READY, seconds=PATIENCE)

    def steps(self, name: str) -> dict[str, StepView]:
        """The journal of its newest deployment."""
        return {step.name: step for step in self.client.deployments(name)[0].steps}

    def destroy(self, *names: str) -> None:
        """Takes them away, and sees that nothing is left."""
        for name in names:
            self.client.destroy(name)
        for name in names:
            self.api.wait_for(name, State.DESTROYED, seconds=PATIENCE)
            assert [path.name for path in (self.files / "things").glob(f"{name}--*")] == []

    def close(self) -> None:
        """Ends all of it."""
        for member in (*self.workers, self.api):
            if member.running:
                member.signal(signal.SIGCONT)
                member.kill()
        if self.api._client is not None:
            self.api._client.close()
        self.postgres.close()


def start_processes(folder: Path) -> MultiProcessService:
    """A service on a PostgreSQL of its own, with the template in its catalogue."""
    files = folder / "files"
    (files / "things").mkdir(parents=True)
    postgres = Postgres()
    service = MultiProcessService(postgres, files, Member.__new__(Member), [])
    try:
        database = postgres.start().new_database()
        names = ["api", "worker-1", "worker-2", "worker-3"]
        members = [
            Member(folder / name, name.partition("-")[0], database, postgres.password_file, files) for name in names
        ]
        service.api, service.workers = members[0], members[1:]
        for member in members:
            member.begin()
        service.client.push(make_bundle({"template.toml": TEMPLATE.encode()}))
    except BaseException:
        postgres.close()
        raise
    return service


def until(true: Callable[[], bool], seconds: float = PATIENCE, otherwise: str = "timed out") -> None:
    """Waits until something holds; fails the test when it doesn't in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)
