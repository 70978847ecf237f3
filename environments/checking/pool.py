"""A few checking processes, shared by all users whose templates and parameters are checked."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import structlog

import environments
from environments.checking import tasks
from environments.checking.forker import ANSWER, BROKEN, DONE, QUESTION, READY, TOO_LONG, Limits
from environments.domain.errors import CheckTooCostly, MachineError, ServiceUnavailable, TooManyRequests
from environments.domain.faults import Fault
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.schemas.plain import is_plain
from environments.service.parameters import check_values

STEP_KINDS = "environments.bootstrap.providers:STEP_KINDS"

LIMITS = Limits(processor=1.0, memory=256 * 1024 * 1024, wall=15.0)
"""Of one check. The time in all is for a machine that is busy with others."""

_PATIENCE = 5.0
"""Seconds that a request waits for a process."""

_OWN_PATIENCE = 120.0
"""Likewise the service itself, in the middle of a deployment."""

_FREE = 0.05
"""Seconds of processor time of one check that aren't counted: what sensible checks take."""

_CREDIT = 1.5
"""Seconds of counted time after which an owner has to wait."""

_RETURNS = 0.2
"""Seconds of it that come back in each second."""

_START = 60.0
"""Seconds that a new process may take until it is ready."""

_GRACE = 10.0
"""Seconds after the time in all within which a process has to say that the time was over."""

_log = structlog.get_logger()


class _Gone(Exception):
    """A process has ended, or doesn't answer."""


class CheckPool:
    """Checks as `environments.service.checking.Checks` wants them. Safe to use from any thread.

    An owner never has all processes at once, and has to wait after their checks have taken much time: one owner's
    requests don't block those of others. `kinds` names the step kinds that a process loads.
    """

    def __init__(self, kinds: str = STEP_KINDS, size: int = 2, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._size = size
        self._changed = threading.Condition()
        self._processes = [_Process(kinds) for _ in range(size)]
        self._idle = list(self._processes)
        self._busy: dict[str, int] = {}
        self._debts: dict[str, tuple[float, float]] = {}
        self._stopped = False

    def start(self) -> None:
        """Starts the processes, so that the first check needn't wait for one. Returns at once."""
        with self._changed:
            for process in self._idle:
                process.start()

    def stop(self) -> None:
        """Ends the processes, and the checks that they run."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            for process in self._processes:
                process.kill()
            self._changed.wait_for(lambda: len(self._idle) == self._size, _GRACE)
            for process in self._idle:
                process.end()

    def template(self, owner: str, bundle: Bundle, images: Collection[str] | None = None) -> list[Fault]:
        """Every fault of a template."""
        found = self._ask(owner, tasks.ask_template(bundle, images), _PATIENCE)
        return [Fault.model_validate(told) for told in found]

    def parameters(
        self, owner: str, template: Template, given: Mapping[str, Any], known: frozenset[str]
    ) -> dict[str, Any]:
        """The parameters as they are kept. Plain ones are checked right here."""
        if is_plain(template.parameters, given):
            return check_values(template.name, template.parameters, given, known)
        found: dict[str, Any] = self._ask(owner, tasks.ask_parameters(template, given, known), _PATIENCE)
        return found

    def expression(self, text: str, names: Mapping[str, Any], where: str) -> Any:
        """The value of a text."""
        return self._ask("", tasks.ask_expression(text, names, where), _OWN_PATIENCE)

    def _ask(self, owner: str, question: Mapping[str, Any], patience: float) -> Any:
        try:
            encoded = json.dumps(question, default=str).encode()
        except RecursionError:
            raise CheckTooCostly("What was sent is nested too deeply to be checked.") from None
        process = self._take(owner, patience)
        taken = 0.0
        try:
            code, taken, place, answer = process.ask(encoded, self._limits)
        except _Gone:
            if self._stopped:
                raise ServiceUnavailable("The service stops.") from None
            _log.warning("checking.ended", owner=owner, task=question["task"])
            taken = self._limits.processor
            raise _too_costly(question, "", "time or memory") from None
        finally:
            self._give_back(owner, process, taken)
        if code == DONE:
            return tasks.read(answer)
        if code == BROKEN:
            raise RuntimeError(f"a check failed at {place}: {answer.decode(errors='replace')}")
        raise _too_costly(question, place, self._limit_of(code))

    def _limit_of(self, code: int) -> str:
        if code == TOO_LONG:
            return f"{self._limits.processor:g} s of processor time"
        return f"{self._limits.memory // 1024**2} MB of memory"

    def _take(self, owner: str, patience: float) -> "_Process":
        """Reserves a process for a while. Raises `TooManyRequests`."""
        until = time.monotonic() + patience
        most = max(1, self._size - 1)
        with self._changed:
            while not self._stopped:
                wait = self._debt(owner) - _CREDIT
                if wait > 0:
                    raise _busy(
                        f"What {owner} sent has taken much time to check lately", hint_after=int(wait / _RETURNS) + 1
                    )
                if self._idle and self._busy.get(owner, 0) < most:
                    self._busy[owner] = self._busy.get(owner, 0) + 1
                    return self._idle.pop()
                left = until - time.monotonic()
                if left <= 0:
                    raise _busy("Too many checks wait already", hint_after=5)
                self._changed.wait(left)
        raise ServiceUnavailable("The service stops.")

    def _give_back(self, owner: str, process: "_Process", taken: float) -> None:
        with self._changed:
            self._idle.append(process)
            self._busy[owner] -= 1
            if not self._busy[owner]:
                del self._busy[owner]
            if owner and taken > _FREE:
                self._debts[owner] = (self._debt(owner) + taken, time.monotonic())
            if self._stopped:
                process.end()
            self._changed.notify_all()

    def _debt(self, owner: str) -> float:
        """Seconds of processor time that an owner's checks took lately, less what has come back."""
        debt, since = self._debts.get(owner, (0.0, 0.0))
        left = debt - (time.monotonic() - since) * _RETURNS
        if left <= 0:
            self._debts.pop(owner, None)
            return 0.0
        return left


class _Process:
    """One checking process, started when it is needed and restarted after it had to be ended."""

    def __init__(self, kinds: str) -> None:
        self._kinds = kinds
        self._running: subprocess.Popen[bytes] | None = None
        self._ready = False

    def start(self) -> None:
        """Starts it if it doesn't run; returns at once."""
        if self._running is not None and self._running.poll() is None:
            return
        self.end()
        # `-I` and a bare environment: neither the service's secrets nor its folder are of any use to a check.
        root = str(Path(environments.__file__).parent.parent)
        program = "import sys; sys.path.insert(0, sys.argv.pop(1)); from environments.checking import forker"
        self._running = subprocess.Popen(
            [sys.executable, "-I", "-c", f"{program}; forker.main(sys.argv[1])", root, self._kinds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={"LANG": "C.UTF-8", "PATH": os.defpath},
            start_new_session=True,
        )

    def ask(self, question: bytes, limits: Limits) -> tuple[int, float, str, bytes]:
        """Outcome, processor time taken, place and answer. Raises `_Gone`; the process is ended then."""
        self.start()
        if not self._ready:
            self._await_ready()
        try:
            head = QUESTION.pack(len(question), limits.processor, limits.memory, limits.wall)
            self._write(head + question)
            until = time.monotonic() + limits.wall + _GRACE
            code, taken, place_length, length = ANSWER.unpack(self._read(ANSWER.size, until))
            told = self._read(place_length + length, until)
        except (OSError, _Gone) as error:
            self.end()
            raise _Gone from error
        return code, taken, told[:place_length].decode(errors="replace"), told[place_length:]

    def _await_ready(self) -> None:
        try:
            self._ready = self._read(len(READY), time.monotonic() + _START) == READY
        except (OSError, _Gone) as error:
            self.end()
            raise MachineError("The process that checks templates and parameters can't be started.") from error

    def _write(self, content: bytes) -> None:
        assert self._running is not None
        assert self._running.stdin is not None
        view = memoryview(content)
        while view:
            view = view[self._running.stdin.write(view) or 0 :]

    def _read(self, length: int, until: float) -> bytes:
        assert self._running is not None
        assert self._running.stdout is not None
        stdout = self._running.stdout.fileno()
        found = bytearray()
        while len(found) < length:
            ready, _, _ = select.select([stdout], [], [], max(0.0, until - time.monotonic()))
            part = os.read(stdout, min(length - len(found), 1024 * 1024)) if ready else b""
            if not part:
                raise _Gone
            found += part
        return bytes(found)

    def end(self) -> None:
        """Ends it with its children: it has a session of its own."""
        self.kill()
        running, self._running, self._ready = self._running, None, False
        if running is not None:
            with running:
                running.wait(_GRACE)

    def kill(self) -> None:
        """Kills it; to be called from any thread. Whoever waits for its answer is told."""
        running = self._running
        if running is not None and running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def _busy(message: str, *, hint_after: int) -> TooManyRequests:
    return TooManyRequests(f"{message}.", details={"retry_after": hint_after})


def _too_costly(question: Mapping[str, Any], place: str, limit: str) -> CheckTooCostly:
    what = {
        "template": "Checking the template",
        "parameters": f"Checking the parameters of template {question.get('name')!r}",
        "expression": f"Evaluating {question.get('where')}",
    }[question["task"]]
    where = f" at {place}" if place and question["task"] != "expression" else ""
    return CheckTooCostly(f"{what} takes more than {limit}{where}.", details={"place": place})
