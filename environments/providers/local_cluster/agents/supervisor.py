"""Runs the agents under a supervisord of their own, controlled over its socket (XML-RPC, 0600, no TCP)."""

import configparser
import contextlib
import hashlib
import http.client
import io
import os
import socket
import stat
import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import state_origin
from environments.domain.cleaning import Cleaner
from environments.domain.errors import MachineError
from environments.private_files import discard, locked, private_folder, write_if_changed
from environments.providers.local_cluster.agents import place, processes
from environments.providers.local_cluster.agents.patience import wait_for

_CALL_SECONDS = 60.0
"""Stopping an agent is one call, which lasts until it has ended."""

_START_SECONDS = 120.0
"""supervisord becomes a daemon within a second, or some seconds on a busy machine."""

_SOCKET = "supervisor.sock"

_LONGEST_SOCKET_PATH = 80
"""Bytes; a Unix socket's path holds 107, and supervisord binds a longer name before it renames it."""

_RUNNING = ("STARTING", "RUNNING", "BACKOFF")


@dataclass(frozen=True)
class Program:
    """A program. The last word of the command is its configuration file, by which its process is found.

    `umask` as in chmod; `patience` in seconds, to end in; `folder` is where it works.
    """

    command: tuple[str, ...]
    log: Path
    umask: str = "077"
    patience: int = 20
    folder: Path | None = None


class Supervisor:
    """One supervisord with its programs; it starts none by itself, and restarts those that were started.

    `folder` holds its configuration, log and socket; `environment` is the whole environment of all programs.
    """

    def __init__(self, folder: Path, programs: Mapping[str, Program], environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._programs = programs
        self._environment = dict(environment)
        self.config = folder / "supervisord.conf"

    @property
    def socket(self) -> Path:
        """Where the supervisord that was started last listens; where none was, the place for it."""
        return place.recorded_socket(self._folder) or _socket_path(self._folder)

    def start(self, name: str) -> None:
        """Runs that program with the current configuration; a running one is kept unless its configuration changed."""
        with locked(self._folder / "lock"):
            self._ensure()
            # Another process may have asked it to stop, and died before it did.
            wait_for(lambda: self._state(name) != "STOPPING", self._programs[name].patience + 5)
            if self._state(name) not in _RUNNING:
                processes.stop(self.strays(name), patience=30)
                self._call("supervisor.startProcess", name, False)

    def stop(self, name: str) -> None:
        """Stops that program, also one that a killed supervisord left behind.

        A supervisord that doesn't answer would start it again, so it is stopped too.
        """
        with locked(self._folder / "lock"):
            if not self.answers():
                self._end()
            elif self._state(name) in _RUNNING:
                self._call("supervisor.stopProcess", name, True)
            processes.stop(self.strays(name), patience=30)

    def restart(self, name: str) -> None:
        """Restarts that program."""
        self.stop(name)
        self.start(name)

    def pid(self, name: str) -> int | None:
        """The process id of a running program."""
        found = self.strays(name)
        return found[0] if found else None

    def strays(self, name: str) -> list[int]:
        """Processes that run that program."""
        return processes.started_with(*self._programs[name].command[-2:])

    def is_wanted(self, name: str) -> bool:
        """Whether the program should run: it was started, and not stopped."""
        return self.answers() and self._state(name) in _RUNNING

    def failed_start(self, name: str) -> int | None:
        """When the program was last started (seconds since 1970) if it has ended since; None while it runs."""
        if not self.answers():
            return None
        info = self._call("supervisor.getProcessInfo", name)
        return None if info["statename"] in ("STARTING", "RUNNING", "STOPPING") else int(info["start"])

    def log_tail(self, name: str, size: int = 2000) -> str:
        """The last `size` bytes of the program's log."""
        try:
            with self._programs[name].log.open("rb") as file:
                file.seek(max(0, file.seek(0, io.SEEK_END) - size))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def shut_down(self) -> None:
        """Stops supervisord and every program; afterwards none of these processes is left."""
        with locked(self._folder / "lock"):
            self._end()
            for name in self._programs:
                processes.stop(self.strays(name), patience=30)

    def leave(self, former: Path, alone: bool) -> None:
        """Stops supervisord and every program that were started when this folder had that path.

        Not `alone`: others run there now, and ours are those with files open in this folder.
        """
        with locked(self._folder / "lock"):
            here = None if alone else frozenset(processes.holding_files_below(self._folder.parent))

            def ours(*words: str) -> list[int]:
                return [pid for pid in processes.started_with(*words) if here is None or pid in here]

            processes.stop(ours("-c", str(former / self.config.name)), patience=40)
            for program in self._programs.values():
                *_, option, config = program.command
                moved = former.parent / Path(config).relative_to(self._folder.parent)
                processes.stop(ours(option, str(moved)), patience=30)
            if alone:
                _remove_socket(_socket_path(former), former)

    def settle(self) -> None:
        """Has the configuration name the present path of this folder, before supervisord is started here."""
        with locked(self._folder / "lock"):
            self._configure(_socket_path(self._folder))

    def _configure(self, listening: Path) -> None:
        write_if_changed(self.config, self._configuration(listening))
        state_origin.remember(self._folder.parent.parent, "credentials")

    def _end(self) -> None:
        """Stops supervisord, whether it answers or not; with it end the programs that it has started."""
        processes.stop(processes.started_with("-c", str(self.config)), patience=40)
        _remove_socket(self.socket, self._folder)

    def answers(self) -> bool:
        """Whether our supervisord runs; a socket elsewhere, in a folder that others may change, isn't ours."""
        folder = self.socket.parent
        if folder != self._folder and not _is_private(folder):
            return False
        try:
            return bool(self._call("supervisor.getState"))
        except MachineError:
            return False

    def _ensure(self) -> None:
        if self.answers():
            self._configure(self.socket)
            self._reload()
            return
        self._end()
        self._configure(_socket_path(self._folder))
        _private_socket_folder(self.socket.parent)
        for program in self._programs.values():
            private_folder(program.log.parent)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)]
        try:
            done = subprocess.run(
                command,
                env=self._environment,
                cwd="/",
                umask=0o077,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_START_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise MachineError(
                f"supervisord didn't start within {_START_SECONDS:.0f} s.", hint=f"See {self._folder}."
            ) from error
        if done.returncode or not wait_for(self.answers, 15):
            said = Cleaner().clean((done.stderr or done.stdout).decode(errors="replace"), 1000).strip().splitlines()
            raise MachineError(
                f"supervisord doesn't start: {said[0] if said else 'it gives no reason'}.",
                hint=f"See the log in {self._folder}.",
            )

    def _reload(self) -> None:
        """Lets a running supervisord take over its configuration; programs that changed are ended."""
        ((added, changed, removed),) = self._call("supervisor.reloadConfig")
        for name in (*changed, *removed):
            if self._state(name) in _RUNNING:
                self._call("supervisor.stopProcess", name, True)
            self._call("supervisor.removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("supervisor.addProcessGroup", name)

    def _state(self, name: str) -> str:
        return str(self._call("supervisor.getProcessInfo", name)["statename"])

    def _configuration(self, listening: Path) -> str:
        config = configparser.RawConfigParser()
        config["supervisord"] = {
            "logfile": _literal(self._folder / "supervisord.log"),
            "logfile_maxbytes": "5MB",
            "logfile_backups": "1",
            "pidfile": _literal(self._folder / "supervisord.pid"),
            "umask": "077",
            "directory": "/",
        }
        if os.geteuid() == 0:
            config["supervisord"]["user"] = "root"
        config["unix_http_server"] = {"file": _literal(listening), "chmod": "0600"}
        factory = "supervisor.rpcinterface:make_main_rpcinterface"
        config["rpcinterface:supervisor"] = {"supervisor.rpcinterface_factory": factory}
        for name, program in self._programs.items():
            config[f"program:{name}"] = {
                "command": " ".join(_quoted(word) for word in program.command),
                "umask": program.umask,
                "autostart": "false",
                "autorestart": "true",
                "startsecs": "1",
                "startretries": "60",
                "stopsignal": "TERM",
                "stopwaitsecs": str(program.patience),
                "redirect_stderr": "true",
                **({} if program.folder is None else {"directory": _literal(program.folder)}),
                # It is expanded twice.
                "stdout_logfile": _literal(_literal(program.log)),
                "stdout_logfile_maxbytes": "20MB",
                "stdout_logfile_backups": "2",
            }
        text = io.StringIO()
        config.write(text)
        return text.getvalue()

    def _call(self, method: str, *arguments: Any) -> Any:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_SocketTransport(self.socket))
        try:
            with proxy:
                return getattr(proxy, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise MachineError(f"supervisord doesn't answer: {error}.", hint=f"See {self._folder}.") from error
        except xmlrpc.client.Fault as fault:
            raise MachineError(
                f"supervisord refuses {method}: {fault.faultString}.", hint=f"See the logs in {self._folder.parent}."
            ) from fault


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise


class _SocketTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = _SocketConnection(self._path)
        self._connection = (str(host), connection)  # the base class closes what is here
        return connection


def _socket_path(folder: Path) -> Path:
    """Beside the configuration, or in a folder that no variable moves if that path is too long for a socket."""
    path = folder / _SOCKET
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path("/run" if os.geteuid() == 0 else "/tmp", f"calvinverse-{key}", _SOCKET)  # noqa: S108 - see _private_socket_folder


def _remove_socket(path: Path, folder: Path) -> None:
    """Removes the socket of a supervisord that has ended, with the folder that was made for it elsewhere.

    What else is at a place that only the configuration names stays: whoever can change that can name anything.
    """
    if path == _socket_path(folder) or (path.name == _SOCKET and path.is_socket()):
        discard(path)
    if path.parent != folder and path.parent.name.startswith("calvinverse-"):
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _private_socket_folder(folder: Path) -> None:
    private_folder(folder)
    if not _is_private(folder):
        raise MachineError(
            f"The folder {folder} for the socket of supervisord may be entered by others.", hint="Remove it."
        )


def _is_private(folder: Path) -> bool:
    """Whether nobody else could have put a socket there."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _literal(value: object) -> str:
    """A value in which supervisord expands nothing."""
    return str(value).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command: supervisord splits it as a shell does (shlex), after expanding."""
    return _literal("'" + word.replace("'", "'\"'\"'") + "'")
