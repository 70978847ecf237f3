"""The provisioning service as a process of its own, to be killed and started again."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from environments.client import Client, connect
from environments.context import Context
from environments.domain.environment import Event
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import State
from environments.wire.environments import EnvironmentView
from tests.support.authorities import MadeAuthority

_PORTS = range(61_000, 65_500)
"""Above those that Linux gives to outgoing connections by default (32768 to 60999)."""


def free_port() -> int:
    """A port of loopback that nobody has now, and that no outgoing connection gets while nobody listens on it."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class ServiceProcess:
    """`calvinverse serve` on a free port with its own state folder, for a cluster with these connections."""

    def __init__(self, state: Path, connections: Path | None = None, **settings: str) -> None:
        self.state = state
        self.port = free_port()
        self.log = state / "service.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Client | None = None
        state.mkdir(parents=True, exist_ok=True)
        self.ca_file: Path | None = None
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {
            **kept,
            "CALVINVERSE_STATE": str(state),
            "CALVINVERSE_PORT": str(self.port),
            "CALVINVERSE_LOG_FORMAT": "json",
            **({"CALVINVERSE_CONNECTIONS": str(connections)} if connections else {}),
            **settings,
        }

    def secured(self, authority: MadeAuthority) -> "ServiceProcess":
        """Lets it speak TLS from its start on, with a certificate of that authority, which its client pins."""
        self.ca_file = self.state / "service-ca.pem"
        self.ca_file.write_text(authority.pem)
        certificate = str(authority.sign(self.state / "service.pem", "127.0.0.1"))
        self.environment |= {"CALVINVERSE_TLS_CERTIFICATE": certificate, "CALVINVERSE_TLS_KEY": certificate}
        return self

    @property
    def address(self) -> str:
        """`http://127.0.0.1:…`, or with `https`."""
        return f"http{'' if self.ca_file is None else 's'}://127.0.0.1:{self.port}"

    @property
    def token_file(self) -> Path:
        """With the token that the first start makes."""
        return self.state / "service" / "token"

    @property
    def client(self) -> Client:
        """With the token that the first start made."""
        if self._client is None:
            context = Context(address=self.address, token_file=self.token_file, ca_file=self.ca_file)
            self._client = connect(context)
        return self._client

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(
        self, seconds: float = 120, *, module: str = "environments", more: Mapping[str, str] | None = None
    ) -> "ServiceProcess":
        """Starts it and waits until it answers; `module` may stand in for the program, with `more` variables."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *(["serve"] if module == "environments" else [])],
                env={**self.environment, **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + seconds
        while True:
            assert self._process.poll() is None, f"the service ended:\n{self.log.read_text()[-3000:]}"
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    pass
                self.ask()
                return self
            except (OSError, CalvinverseError):
                assert time.monotonic() < end, f"the service doesn't answer:\n{self.log.read_text()[-3000:]}"
                time.sleep(0.02)

    def ask(self) -> None:
        """Returns when it answers, as it should; raises when it doesn't."""
        self.client.info()

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=120)

    def stop(self) -> None:
        """SIGTERM, as Nomad does it; fails the test if it doesn't end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=120)
        if self._client is not None:
            self._client.close()
            self._client = None

    def wait_for(self, name: str, *states: State, seconds: float = 180) -> EnvironmentView:
        """The environment once it is in one of the states; else the test fails with its history."""
        end = time.monotonic() + seconds
        while True:
            environment = self.client.environment(name)
            if environment.state in states:
                return environment
            assert time.monotonic() < end, f"{name} is {environment.state}:\n{self.story(name)}"
            time.sleep(0.02)

    def story(self, name: str) -> str:
        """All events of an environment, for messages."""
        events: list[Event] = self.client.history(name, limit=500)
        return "\n".join(f"{event.at:%H:%M:%S.%f} {event.message}" for event in events)
