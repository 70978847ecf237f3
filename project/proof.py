"""The proof of a release: what was installed serves, answers, examines itself, checks a template, and ends."""

import json
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import requests

from images import process_groups
from images.commands import run
from images.errors import CommandFailed
from images.report import Report

COMMAND_LIMIT = 120.0
START_LIMIT = 180.0
END_LIMIT = 60.0
"""Seconds that one command, the start of the service and its end may take."""

PAUSE = 0.2
"""Seconds between two looks at a service that starts."""


class Installed:
    """Calvinverse in a virtual environment of its own, run with a home of its own and none of our variables."""

    def __init__(self, environment: Path, home: Path) -> None:
        self._programs = environment / "bin"
        self._state = home / "state"
        self._home = home
        self._log = home / "commands.log"
        home.mkdir()
        self._variables = {
            "PATH": f"{self._programs}:/usr/bin:/bin",
            "HOME": str(home),
            "CALVINVERSE_STATE": str(self._state),
        }
        (self._shipped,) = environment.glob("lib/python*/site-packages/environments/templates")

    def prove(self, version: str, report: Report) -> None:
        """Serve on a free port of loopback, and run `doctor` and `template validate` with that service.

        Raises CommandFailed with the last lines of whatever didn't do what it should.
        """
        said = self._run("--version")
        if said != version:
            raise CommandFailed(f"`calvinverse --version` says {said} and not {version}.")
        with (self._home / "serve.log").open("wb") as log:
            service = subprocess.Popen(
                [str(self._programs / "calvinverse"), "serve", "--port", "0"],
                cwd=self._home,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process_groups.add(service.pid)
        try:
            address = self._started(service)
            self._run("doctor")
            templates = sorted(folder for folder in self._shipped.iterdir() if (folder / "template.toml").is_file())
            for template in templates:
                self._run("template", "validate", str(template))
            service.send_signal(signal.SIGTERM)
            self._ended(service)
        finally:
            if service.poll() is None:
                process_groups.kill(service.pid)
                service.wait(END_LIMIT)
            process_groups.discard(service.pid)
        names = ", ".join(template.name for template in templates)
        report(f"{version} served at {address}, passed `doctor`, found {names} valid, and ended.")

    def _run(self, *arguments: str) -> str:
        command = [str(self._programs / "calvinverse"), *arguments]
        lines: list[str] = []
        ended = run(
            command, limit=COMMAND_LIMIT, cwd=self._home, env=self._variables, log=self._log, on_line=lines.append
        )
        ended.check(f"`calvinverse {' '.join(arguments)}` failed in an empty virtual environment", log=self._log)
        return "\n".join(lines).strip()

    def _started(self, service: "subprocess.Popen[bytes]") -> str:
        """The address at which the service has said that it is ready."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and service.poll() is None:
            # The first start writes where it listens, for the other commands.
            with suppress(OSError, ValueError, KeyError):
                address = str(json.loads((self._state / "context.json").read_text(encoding="utf-8"))["address"])
                if requests.get(f"{address}/self/readiness", timeout=5).status_code == requests.codes.ok:
                    return address
            time.sleep(PAUSE)
        raise self._failed("`calvinverse serve` isn't ready")

    def _ended(self, service: "subprocess.Popen[bytes]") -> None:
        try:
            status = service.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            raise self._failed("`calvinverse serve` doesn't end on SIGTERM") from None
        if status != 0:
            raise self._failed(f"`calvinverse serve` ended with status {status}")

    def _failed(self, what: str) -> CommandFailed:
        log = self._home / "serve.log"
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        return CommandFailed(f"{what}.", hint="\n".join([*(f"  {line}" for line in tail), f"Its output is in {log}."]))
