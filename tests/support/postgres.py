"""A real PostgreSQL for tests: its own folder, user and free port on loopback; kept running, killed and started again.

PostgreSQL refuses to run as root: then it runs as its package's user, or as nobody.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from environments.stores.postgres import open_postgres
from images.postgres_server import ensure_postgres
from tests.support.run_folders import lives, make_run_folder
from tests.support.service_process import free_port

SUPERUSER = "postgres"
USER = "calvinverse"
"""May do no more than own its databases."""
NOBODY = 65534

_DIES_WITH_US = ("setpriv", "--pdeathsig", "QUIT", "--") if shutil.which("setpriv") else ()
"""A test run that is killed leaves no server behind."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # a killed process loses nothing by that; a machine without power would
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "log_min_messages": "warning",
    "autovacuum": "off",  # it would connect to databases that are being copied
}


class Postgres:
    """One server with a database for whoever asks for one."""

    def __init__(self, **settings: str) -> None:
        """`settings` are beside, or instead of, those of tests."""
        self._settings = {**SETTINGS, **settings}
        self._programs = ensure_postgres(print).folder
        self._owner = _owner()
        self.folder = make_run_folder("calvinverse-postgres-")
        self.password = secrets.token_hex(16)
        self.password_file = self.folder / "password"
        self.password_file.write_text(f"{self.password}\n")
        self.log = self.folder / "log"
        self.log.touch()
        for path in (self.folder, self.password_file, self.log):
            if self._owner is not None:
                os.chown(path, *self._owner)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._migrated: str | None = None
        secret = f"--pwfile={self.password_file}"
        made = self._run("initdb", "-D", "data", "-U", SUPERUSER, secret, "-A", "scram-sha-256", "-N", "-E", "UTF8")
        assert made.wait(timeout=300) == 0, self.log.read_text()[-3000:]

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> "Postgres":
        """Starts it and waits until it answers."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._run("postgres", "-D", "data", "-p", str(self.port), *options)
        end = time.monotonic() + 120
        while True:
            try:
                with self.connect("postgres") as connection:
                    self._make_user(connection)
                return self
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log.read_text()[-3000:]
                assert time.monotonic() < end, f"PostgreSQL doesn't answer:\n{self.log.read_text()[-3000:]}"
                time.sleep(0.02)

    def _make_user(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [USER]).fetchone() is None:
            connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{self.password}'")

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """A plain connection of its superuser."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=SUPERUSER, password=self.password, dbname=database, autocommit=True,
            connect_timeout=60,
        )  # fmt: skip

    def new_database(self) -> str:
        """The address, without its password, of a database with every table, and nothing in them.

        It is a copy of one that the migrations have made: that takes longer than many a short test.
        """
        if self._migrated is None:
            address = self.empty_database()
            open_postgres(address, self.password_file).close()
            self._migrated = address.rpartition("/")[2]
            self._wait_until_nobody_uses(self._migrated)
        return self._create(f"TEMPLATE {self._migrated}")

    def empty_database(self) -> str:
        """The address of a database in which there is nothing, without its password."""
        return self._create("")

    def _wait_until_nobody_uses(self, name: str) -> None:
        end = time.monotonic() + 120
        with self.connect("postgres") as connection:
            while (
                connection.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name]).fetchone() is not None
            ):
                assert time.monotonic() < end, f"somebody uses the database {name}"
                time.sleep(0.02)

    def _create(self, source: str) -> str:
        self._databases += 1
        name = f"test{self._databases}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {USER} {source}")
        return self.address(name)

    def address(self, name: str) -> str:
        """The address of a database, without its password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def kill(self) -> None:
        """SIGKILL to every process of it, as if the machine had gone."""
        # Its children have sessions of their own, and until all are gone no new server starts.
        children = self._freeze()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._end(signal.SIGKILL)
        end = time.monotonic() + 60
        while any(lives(pid) for pid in children):
            assert time.monotonic() < end, "PostgreSQL's processes don't end"
            time.sleep(0.01)

    def stop(self) -> None:
        """At once, with connections ended but nothing to recover."""
        self._end(signal.SIGINT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While the block runs nothing of it moves: connections stay, and get no answer."""
        pids = [self.pid, *self._freeze()]
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _freeze(self) -> list[int]:
        """Stops every process of it; its children."""
        os.kill(self.pid, signal.SIGSTOP)
        children = [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        return children

    def close(self) -> None:
        """Ends it and removes its folder."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=120)

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command: Sequence[str] = [*_DIES_WITH_US, str(self._programs / program), *arguments]
        who = {} if self._owner is None else {"user": self._owner[0], "group": self._owner[1], "extra_groups": []}
        with self.log.open("ab") as log:
            return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                **who,
            )


def _owner() -> tuple[int, int] | None:
    """User and group that it runs as; None: ours."""
    if os.geteuid() != 0:
        return None
    try:
        known = pwd.getpwnam("postgres")
    except KeyError:
        return NOBODY, NOBODY
    return known.pw_uid, known.pw_gid
