"""A real forge for tests: Gitea with its own folder on a free port of loopback; stopped, killed and started again."""

import getpass
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2

from environments.providers.local_cluster.agents.patience import Patience
from images.errors import ToolsMissing
from images.toolchain import require
from tests.support.run_folders import make_run_folder
from tests.support.service_process import free_port

ADMIN = "root"
"""The user name of the administrator."""

START_LIMIT = 120.0
"""Seconds until it answers; on an idle machine it takes two to four."""

CALL_LIMIT = 60.0
"""Seconds that one call of its API, or one run of its program, may take."""

_TAKEN = b"bind: address already in use"

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
"""A test run that is killed leaves no forge behind."""

# What it would do besides (mail, ssh, avatars from elsewhere, looking for updates) is off.
SETTINGS = """
RUN_USER = {user}
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = {address}/
STATIC_ROOT_PATH = {static}
DISABLE_SSH = true
SSH_DOMAIN = forge.example
SSH_USER = git
OFFLINE_MODE = true
LFS_START_SERVER = false
[database]
DB_TYPE = sqlite3
PATH = {folder}/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = {secret}
PASSWORD_HASH_ALGO = pbkdf2_v1
[oauth2]
ENABLED = false
[service]
DISABLE_REGISTRATION = true
NO_REPLY_ADDRESS = noreply.forge.example
[repository]
DEFAULT_BRANCH = main
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[packages]
ENABLED = false
[session]
PROVIDER = memory
[cron.update_checker]
ENABLED = false
[webhook]
ALLOWED_HOST_LIST = loopback
SKIP_TLS_VERIFY = true
DELIVER_TIMEOUT = 15
[log]
MODE = console
LEVEL = Info
"""


@dataclass(frozen=True)
class Person:
    """Somebody with an account, and a token for everything that they may do."""

    name: str
    token: str


class Gitea:
    """One server with an administrator."""

    def __init__(self) -> None:
        """Raises `AssertionError`, with what to do, if it wasn't built."""
        try:
            self._program = require("gitea")["gitea"]
        except ToolsMissing as error:
            raise AssertionError(f"There is no forge for tests. {error.message}\n{error.hint}") from None
        self.folder = make_run_folder("calvinverse-gitea-")
        self.log = self.folder / "log"
        self.port = free_port()
        self._settings = self.folder / "app.ini"
        self._settings.touch(0o600)
        self._secret = secrets.token_hex(32)
        self.people: dict[str, Person] = {}
        """Everybody with an account, the administrator among them, by name."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`http://127.0.0.1:…`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> "Gitea":
        """Starts it and waits until it answers; at first, makes the administrator.

        Its address stays the same from then on. Until then it takes another port if somebody else has taken this one.
        """
        while not self._try_to_start():
            assert not self.people, f"Somebody else listens at {self.address}."
            self.kill()
            self.port = free_port()
        if not self.people:
            self._make_administrator()
        return self

    def _try_to_start(self) -> bool:
        """Whether it could listen."""
        # It adds secrets of its own to them when it starts first.
        if not self.people:
            self._write_settings()
        said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_DIES_WITH_US, *self._command("web")],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        patience = Patience(START_LIMIT)
        while not self._answers():
            assert self._process.poll() is None, f"Gitea ended:\n{self.said()}"
            assert not patience.is_over(), f"Gitea doesn't answer:\n{self.said()}"
            # It says that the port is taken, and stays.
            if _TAKEN in self.log.read_bytes()[said:]:
                return False
        return True

    def stop(self) -> None:
        """Lets it end by itself."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as if the machine had gone."""
        self._end(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While the block runs it takes connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Ends it and removes its folder."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def api(self, token: str) -> httpx2.Client:
        """The API as whoever has this token."""
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx2.Client(base_url=f"{self.address}/api/v1", headers=headers, timeout=CALL_LIMIT, trust_env=False)

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.address}/api/healthz", timeout=5, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False

    def _make_administrator(self) -> None:
        command = self._command("admin", "user", "create", "--username", ADMIN, "--email", f"{ADMIN}@forge.example")
        command += ["--admin", "--random-password", "--must-change-password=false"]
        self._run(command)
        command = self._command("admin", "user", "generate-access-token", "--username", ADMIN, "--scopes", "all")
        self.people[ADMIN] = Person(ADMIN, self._run([*command, "--raw"]).split()[-1])

    def _write_settings(self) -> None:
        text = SETTINGS.format(
            user=getpass.getuser(),
            port=self.port,
            address=self.address,
            static=self._program.parent,
            folder=self.folder,
            secret=self._secret,
        )
        self._settings.write_text(text)

    def _command(self, *arguments: str) -> list[str]:
        return [str(self._program), "--config", str(self._settings), "--work-path", str(self.folder), *arguments]

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CALL_LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command[5:8])}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def _environment(self) -> Mapping[str, str]:
        """Nothing of ours but the PATH, where it finds git: the user's own settings of git mean nothing here."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def _end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=120)


@contextmanager
def gitea() -> Iterator[Gitea]:
    """A running forge, removed in the end."""
    server = Gitea()
    try:
        yield server.start()
    finally:
        server.close()
