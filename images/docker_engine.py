"""Makes sure that a Docker engine answers: uses a running one; on Debian, as root, installs and starts one."""

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from images.commands import TAIL, output, run
from images.errors import DockerUnavailable, PackagesMissing
from images.places import state_folder
from images.report import Report, duration
from images.system import can_install_packages, ensure_debian_packages, is_root

ANSWER_LIMIT = 20.0
"""Time limit in seconds for a response of the engine."""

START_LIMIT = 90.0
"""Time limit in seconds for starting an engine."""

PID_FILE = Path("/var/run/docker.pid")
"""Where an engine with the usual settings writes its process id."""

PACKAGES = ("docker.io", "iptables", "ca-certificates")


@dataclass(frozen=True)
class Engine:
    """The engine's version if it answered, else a short reason why it didn't."""

    version: str
    reason: str = ""
    client: bool = True
    absent: bool = False
    """Whether there is none: nobody listens where the engine should be."""

    @property
    def answers(self) -> bool:
        """Whether an engine answered."""
        return bool(self.version)


def ask_engine() -> Engine:
    """Ask the engine that DOCKER_HOST or the Docker context names for its version."""
    if shutil.which("docker") is None:
        return Engine("", "there is no docker command on the PATH", client=False, absent=True)
    lines: list[str] = []
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    ended = run(command, limit=ANSWER_LIMIT, on_line=lines.append)
    if ended.timed_out:
        return Engine("", f"it doesn't answer within {duration(ANSWER_LIMIT)}")
    if ended.status == 0 and lines and lines[-1]:
        return Engine(lines[-1])
    said = " ".join(lines)
    if "permission denied" in said:
        return Engine("", "this user may not talk to it")
    if "daemon running" in said:
        return Engine("", "it isn't running", absent=True)
    return Engine("", lines[-1] if lines else ended.reason())


def ensure_engine(report: Report) -> str:
    """Make sure that a Docker engine answers, and return its version.

    One is started only where there is none, and none elsewhere is meant. Raises DockerUnavailable, with what to do,
    when none answers and none can be started; PackagesMissing when installing one fails.
    """
    engine = ask_engine()
    if engine.answers:
        return engine.version
    if host := os.environ.get("DOCKER_HOST"):
        raise DockerUnavailable(
            f"The Docker engine that DOCKER_HOST names doesn't answer: {engine.reason}.",
            hint=f"Start the engine at {host}, or unset DOCKER_HOST to use the one of this machine.",
        )
    if name := _context():
        raise DockerUnavailable(
            f"The Docker engine of the context {name} doesn't answer: {engine.reason}.",
            hint="Start that engine, or use the one of this machine: `docker context use default`"
            + (", and unset DOCKER_CONTEXT." if os.environ.get("DOCKER_CONTEXT") else "."),
        )
    if not engine.absent:
        raise DockerUnavailable(f"The Docker engine doesn't answer: {engine.reason}.", hint=_by_hand(engine))
    if (pid := _daemon()) is not None:
        if version := _wait(None, time.monotonic()):  # it may be starting
            return version
        raise DockerUnavailable(
            f"The Docker engine runs as process {pid}, but nobody listens at its socket.",
            hint="Restart it, as root: "
            + ("`systemctl restart docker`." if has_systemd() else f"`kill {pid}`, then repeat the command."),
        )
    if not is_root():
        raise DockerUnavailable(f"No Docker engine answers: {engine.reason}.", hint=_by_hand(engine))
    if not engine.client or shutil.which("dockerd") is None:
        if not can_install_packages():
            raise DockerUnavailable(f"No Docker engine answers: {engine.reason}.", hint=_by_hand(engine))
        ensure_debian_packages(PACKAGES, report, why="Services run in Docker containers")
        if shutil.which("dockerd") is None:
            raise PackagesMissing("The docker.io package is installed but there is no dockerd on the PATH.")
    return _start(report)


def _context() -> str:
    """The Docker context that names an engine other than this machine's own; empty if none does."""
    if shutil.which("docker") is None:
        return ""
    asked = ["docker", "context", "inspect", "--format", "{{.Name}}"]
    found = (output(asked, limit=ANSWER_LIMIT) or os.environ.get("DOCKER_CONTEXT", "")).strip()
    return "" if found == "default" else found


def _daemon() -> int | None:
    """The process of this machine's engine, by the file that it writes; None if it doesn't run."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(PID_FILE.read_text())
        if Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd":
            return pid
    return None


def _by_hand(engine: Engine) -> str:
    if "may not talk" in engine.reason:
        return "Run this as root, or add this user to the group `docker` and log in again."
    verb = "start" if engine.absent else "restart"
    if not engine.client:
        return "Install and start Docker (https://docs.docker.com/engine/install/); on Debian, run this as root."
    return f"{verb.capitalize()} it, as root: `systemctl {verb} docker`."


def has_systemd() -> bool:
    """Whether systemd runs this machine, by the rule of sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


def _start(report: Report) -> str:
    # The package's scripts may have started it.
    if (engine := ask_engine()).answers:
        return engine.version
    began = time.monotonic()
    if has_systemd():
        report("Starting the Docker engine with systemd.")
        ended = run(["systemctl", "start", "docker"], limit=START_LIMIT)
        if ended.status != 0 or ended.timed_out:
            raise DockerUnavailable(
                f"The Docker engine can't be started: {ended.reason()}.", hint="See `journalctl -u docker`."
            )
        version = _wait(None, began)
        where = "`journalctl -u docker`"
    else:
        log = state_folder() / "docker" / "dockerd.log"
        report(f"Starting the Docker engine; without systemd it runs as a plain process and logs to {log}.")
        process = _detached(log)
        version = _wait(process, began)
        where = str(log)
    if not version:
        raise DockerUnavailable(
            f"The Docker engine was started but doesn't answer after {duration(time.monotonic() - began)}.",
            hint=f"See {where}." + ("" if has_systemd() else f" Its last lines:\n{_last_lines(log)}"),
        )
    report(f"  Docker engine {version}: answers after {duration(time.monotonic() - began)}")
    return version


def _detached(log: Path) -> subprocess.Popen[bytes]:
    """Start dockerd as a process that outlives this one; its process id is stored beside the log."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.touch(mode=0o600)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd="/", start_new_session=True
        )
    (log.parent / "dockerd.pid").write_text(f"{process.pid}\n")
    return process


def _wait(process: subprocess.Popen[bytes] | None, began: float) -> str:
    while time.monotonic() - began < START_LIMIT:
        if (engine := ask_engine()).answers:
            if process is not None:
                # The engine outlives this process, which doesn't wait for its end.
                process.returncode = 0
            return engine.version
        if process is not None and process.poll() is not None:
            return ""
        time.sleep(0.3)
    return ""


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-TAIL:]
    return "\n".join(f"  {line}" for line in lines)
