"""What the three agents have in common: configure, start under supervisor, wait until usable, set up."""

import contextlib
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from environments.domain.errors import BackendUnavailable, CalvinverseError, MachineError
from environments.kept_files import NotKept, read_kept, read_token
from environments.private_files import discard, locked, private_folder, write_if_changed
from environments.providers.backend.calls import TITLES, Caller, FixedToken, Part
from environments.providers.backend.connections import CONNECTIONS_FILE, Connections, Endpoint, TokenFile
from environments.providers.local_cluster.agents import place
from environments.providers.local_cluster.agents.certificates import ensure_certificate, speaks_plainly
from environments.providers.local_cluster.agents.patience import Patience, wait_for
from environments.providers.local_cluster.agents.ports import LOOPBACK, require_free
from environments.providers.local_cluster.agents.site import CERTIFICATES, Site
from environments.providers.local_cluster.agents.supervisor import Program, Supervisor
from environments.providers.local_cluster.authority import SERVER_NAMES, keep_authority

_FAILED_STARTS = 4
"""After so many starts that it didn't outlive an agent is given up; supervisord waits 1, 2, 3 s between them."""

_SET_UP_SECONDS = 60.0
"""How long an agent that runs may fail to answer a call that sets it up."""


@dataclass(frozen=True)
class AgentStatus:
    """What an agent is doing; `detail` says in words why it isn't healthy."""

    name: str
    address: str
    pid: int | None
    version: str
    healthy: bool
    detail: str = ""


class Agent(ABC):
    """One agent of the local cluster. Every method may be called again after a crash at any point."""

    name: ClassVar[str]
    part: ClassVar[Part]
    binary: ClassVar[str]
    patience: ClassVar[int] = 20
    """Seconds that it may take to end."""
    umask: ClassVar[str] = "077"
    other_names: ClassVar[tuple[str, ...]] = ()
    """Names in its certificate beside `server_name` and its address, which clients need that can't check that name."""

    def __init__(self, site: Site, supervisor: Supervisor) -> None:
        self.site = site
        self._supervisor = supervisor

    # --- what each agent says about itself ---

    @property
    @abstractmethod
    def port(self) -> int:
        """Where its HTTP interface listens."""

    @property
    @abstractmethod
    def arguments(self) -> tuple[str, ...]:
        """Those of the program, without the path of its configuration, which comes last."""

    @abstractmethod
    def listeners(self) -> list[tuple[str, str, int]]:
        """Setting, address and port of everything it binds."""

    @abstractmethod
    def configure(self) -> bool:
        """Writes the configuration; says whether a running agent must be started again to take it over."""

    @abstractmethod
    def set_up(self) -> None:
        """Waits until it is usable, and makes what must be inside it. Idempotent."""

    @abstractmethod
    def health(self) -> tuple[str, str]:
        """Version, and what is wrong in a few words (empty: healthy). Raises `CalvinverseError` without an answer."""

    # --- the same for all ---

    @property
    def warning(self) -> str:
        """What people should know about how it was started, in whole sentences; empty: nothing."""
        return ""

    @property
    def title(self) -> str:
        return TITLES[self.part]

    @property
    def address(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def server_name(self) -> str:
        """The name that no certificate of another part has."""
        return SERVER_NAMES[self.name]

    @property
    def names(self) -> tuple[str, ...]:
        """All that its certificate is for."""
        return (self.server_name, LOOPBACK, *self.other_names)

    @property
    def folder(self) -> Path:
        return self.site.folder / self.name

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def config(self) -> Path:
        return self.folder / "config.json"

    @property
    def certificate_file(self) -> Path:
        """Its certificate and the key for it, in one file: replaced in one step, they always belong together."""
        return self.folder / "server.pem"

    @property
    def token_file(self) -> Path:
        return self.site.token_file(self.name)

    def program(self) -> Program:
        """For the supervisor."""
        binary = str(self.site.binaries.get(self.binary, self.binary))
        return Program(
            command=(*self.starter(), binary, *self.arguments, str(self.config)),
            log=self.site.folder / "logs" / f"{self.name}.log",
            umask=self.umask,
            patience=self.patience,
            folder=self.works_in,
        )

    @property
    def works_in(self) -> Path | None:
        """The folder in which its process works; None: the root folder."""
        return None

    def starter(self) -> tuple[str, ...]:
        """What prepares each start: it gets the agent's command as its arguments, and becomes it."""
        return ()

    def locked(self) -> AbstractContextManager[None]:
        """Held while it is brought up, changed or removed."""
        return locked(self.site.folder / f"{self.name}.lock")

    def claim(self, owner: str) -> None:
        """Marks it as started for the environment of that id."""
        private_folder(self.site.folder)
        write_if_changed(self.folder / "owner", owner + "\n")

    def owner(self) -> str | None:
        """The id of the environment that it was started for; None if there is none."""
        with contextlib.suppress(NotKept):
            return read_kept(self.folder / "owner").strip() or None
        return None

    def start(self) -> None:
        """Starts it, whatever its state is, and waits until it can be used.

        Raises `PortTaken`, `InvalidInput`, `MachineError`, `BackendError`.
        """
        if self.binary not in self.site.binaries:
            raise MachineError(
                f"There is no program {self.binary!r} to run {self.title} with.",
                hint="Run `doit tools`, or put it on the PATH.",
            )
        place.check_path(self.site.state)
        with self.locked():
            private_folder(self.folder)
            private_folder(self.data)
            self.renew_certificate()
            # A start that was killed may have written the configuration, and left an agent that runs with another one.
            if (self.configure() or speaks_plainly(LOOPBACK, self.port)) and self.pid() is not None:
                self._supervisor.stop(self.name)
            if self.pid() is None:
                for setting, address, port in self.listeners():
                    require_free(self.title, setting, address, port)
            self._supervisor.start(self.name)
            self._keep_certificates()
            self._set_up()
            self._connect()

    def renew_certificate(self) -> bool:
        """Keeps a certificate for it (see `ensure_certificate`); returns whether a new one was written."""
        now = datetime.now(UTC)
        authority = keep_authority(self.site.credentials, now)
        return ensure_certificate(self.certificate_file, authority, self.names, self.site.certificate_life, now)

    def _keep_certificates(self) -> None:
        """Starts what renews the certificates of all agents; again if this version of it keeps them in another way."""
        with locked(self.site.folder / "certificates.lock"):
            if write_if_changed(self.site.keeper_file, self.site.keeper_configuration()):
                self._supervisor.stop(CERTIFICATES)
            self._supervisor.start(CERTIFICATES)

    def observe(self) -> AgentStatus:
        """Observes it, without effects."""
        pid = self.pid()
        if pid is None:
            return AgentStatus(self.name, self.address, None, "", healthy=False, detail="it doesn't run")
        try:
            version, wrong = self.health()
        except CalvinverseError as error:
            return AgentStatus(self.name, self.address, pid, "", healthy=False, detail=error.message)
        return AgentStatus(self.name, self.address, pid, version, healthy=not wrong, detail=wrong)

    def pid(self) -> int | None:
        """The process id; None when it doesn't run."""
        return self._supervisor.pid(self.name)

    def stop(self) -> None:
        """Stops it; its data stay."""
        self._supervisor.stop(self.name)

    def remove(self) -> None:
        """Stops it and removes its data and credentials."""
        with self.locked():
            self.stop()
            self._disconnect()
            discard(self.folder)
            discard(self.token_file)

    def admin(self) -> Caller:
        """A client with the admin's credential."""
        try:
            return self.caller(read_token(self.token_file))
        except NotKept as error:
            raise MachineError(
                f"The admin token of {self.title} can't be read from {self.token_file}: {error}.",
                hint="Run `doit deploy`, which makes it again.",
            ) from error

    def caller(self, token: str | None = None) -> Caller:
        """A client with that token, or with none."""
        return Caller(
            self.part,
            self.address,
            FixedToken(token) if token else None,
            ca_file=self.site.authority_file,
            server_name=self.server_name,
        )

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Waits for something of this agent, which may not answer meanwhile; a busy machine gets more time.

        Stops it and raises `BackendUnavailable`, with the last lines of its log, when it doesn't come.
        """
        failed: set[int] = set()
        seen: set[int] = set()
        fails = False

        def settled() -> bool:
            nonlocal fails
            if (pid := self.pid()) is not None:
                # One that ends after a second or more is started again at once, and no failed start is seen.
                seen.add(pid)
                if fails := len(seen) > _FAILED_STARTS:
                    return True
            elif (start := self._supervisor.failed_start(self.name)) is not None:
                failed.add(start)
                fails = len(failed) >= _FAILED_STARTS
                return fails
            try:
                return condition()
            except BackendUnavailable:
                return False

        if wait_for(settled, seconds, pause=0.03) and not fails:
            return
        self._supervisor.stop(self.name)
        reason = "it ends again and again" if fails else f"{what} took longer than {seconds:.0f} s"
        last = self._supervisor.log_tail(self.name).strip().splitlines()[-3:]
        raise BackendUnavailable(
            f"{self.title} doesn't come up: {reason}.",
            hint=f"See {self.program().log}. It ends with: {' / '.join(last)}",
            details={"part": self.part},
        )

    def _set_up(self) -> None:
        """Sets it up, again where a call got no answer in time: it may be busy, or have been started again."""
        patience = Patience(_SET_UP_SECONDS)
        while True:
            try:
                return self.set_up()
            except BackendUnavailable:
                if not self._supervisor.is_wanted(self.name) or patience.is_over():
                    raise
            time.sleep(0.1)

    def _connect(self) -> None:
        with locked(self.site.state / ".connections.lock"):
            connections = self._connections()
            endpoint = Endpoint(
                address=self.address,
                authentication=TokenFile(token_file=self.token_file),
                ca_file=self.site.authority_file,
                server_name=self.server_name,
            )
            changes: dict[str, Any] = {self.part: endpoint}
            if self.site.ca_file.exists():
                changes["issuing_ca_file"] = self.site.ca_file
            after = connections.model_copy(update=changes)
            if after != connections:
                after.save(self.site.state / CONNECTIONS_FILE)

    def _disconnect(self) -> None:
        with locked(self.site.state / ".connections.lock"):
            after = self._connections().model_copy(update={self.part: None})
            path = self.site.state / CONNECTIONS_FILE
            if after.consul or after.vault or after.nomad:
                after.save(path)
            else:
                discard(path)

    def _connections(self) -> Connections:
        return Connections.kept(self.site.state / CONNECTIONS_FILE)


def agents_environment(home: Path) -> Mapping[str, str]:
    """All that the agents see of the environment.

    The caller's own may hold secrets and proxies, and with AWS_CA_BUNDLE in it Nomad doesn't start.
    """
    folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    docker = shutil.which("docker")
    if docker and str(Path(docker).parent) not in folders:
        folders.append(str(Path(docker).parent))
    environment = {"PATH": ":".join(folders), "HOME": str(home), "LANG": "C.UTF-8"}
    if "DOCKER_HOST" in os.environ:
        environment["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
    return environment
