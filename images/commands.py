"""Runs other programs: with a time limit, each in its own process group; logs all output and shows its end."""

import os
import shlex
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from images import process_groups
from images.errors import CommandFailed
from images.interrupts import stopping

TAIL = 15
"""Lines of a failed command that are shown."""


@dataclass(frozen=True)
class CommandResult:
    """The result of a command: its exit status, whether the time limit ended it, and its last lines.

    `processor_seconds` is what it and the processes that it waited for used of the processors.
    """

    command: tuple[str, ...]
    status: int
    timed_out: bool
    tail: tuple[str, ...]
    processor_seconds: float = 0.0

    def check(self, what: str, *, log: Path | None = None) -> None:
        """Raise CommandFailed with a reason and the last lines, unless the command succeeded."""
        if self.status == 0 and not self.timed_out:
            return
        raise CommandFailed(f"{what}: {self.reason()}", hint=self.explain(log))

    def reason(self) -> str:
        """Why it failed, in a few words."""
        if self.timed_out:
            return f"`{self.command[0]}` took too long and was stopped"
        if self.status < 0:
            return f"`{self.command[0]}` was ended by signal {-self.status}"
        return f"`{self.command[0]}` ended with status {self.status}"

    def explain(self, log: Path | None = None) -> str:
        """The last lines, and where the whole output is."""
        lines = ["The command was: " + shlex.join(self.command)]
        lines += [f"  {line}" for line in self.tail]
        if log is not None:
            lines.append(f"The whole output is in {log}.")
        return "\n".join(lines)


class Stop:
    """A request to stop, shared by commands that run at the same time: `set` ends them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self.is_set = False

    def set(self) -> None:
        """End every command that runs with this stop, and prevent others from starting."""
        with self._lock:
            self.is_set = True
            for group in self._running:
                process_groups.kill(group)

    def _add(self, group: int) -> None:
        with self._lock:
            self._running.add(group)
            if self.is_set:
                process_groups.kill(group)

    def _remove(self, group: int) -> None:
        with self._lock:
            self._running.discard(group)


def run(
    command: Sequence[str],
    *,
    limit: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    on_line: Callable[[str], object] | None = None,
    pass_fds: Sequence[int] = (),
    stop: Stop | None = None,
) -> CommandResult:
    """Run a command without standard input for at most `limit` seconds, and return its result.

    Output and errors are read together, line by line: into `log` (added to it), to `on_line`, and the last ones into
    the result. The command runs in its own process group, which is killed at the time limit. Raises
    CommandFailed if the program can't be started, KeyboardInterrupt when this program was told to stop.
    """
    tail: deque[str] = deque(maxlen=TAIL)
    if stopping():
        raise KeyboardInterrupt
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(f"`{command[0]}` can't be started: {error.strerror}.") from error
    late = threading.Event()

    def on_limit() -> None:
        late.set()
        process_groups.kill(process.pid)

    timer = threading.Timer(limit, on_limit)
    timer.daemon = True
    timer.start()
    process_groups.add(process.pid)
    if stopping():
        process_groups.kill(process.pid)
    if stop is not None:
        stop._add(process.pid)
    try:
        assert process.stdout is not None
        _read(process.stdout, tail, log, on_line)
        status, used = _wait(process)
    except BaseException:
        process_groups.kill(process.pid)
        process.wait()
        raise
    finally:
        timer.cancel()
        process_groups.discard(process.pid)
        if stop is not None:
            stop._remove(process.pid)
        if process.stdout is not None:
            process.stdout.close()
    if stopping():
        raise KeyboardInterrupt
    return CommandResult(tuple(command), status, late.is_set(), tuple(tail), used)


def _wait(process: "subprocess.Popen[bytes]") -> tuple[int, float]:
    """Wait for a process; its exit status, and the processor time in seconds of it and those that it waited for."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def _read(stream: IO[bytes], tail: deque[str], log: Path | None, on_line: Callable[[str], object] | None) -> None:
    """Read lines until all writers have closed the stream."""
    kept = log.open("ab") if log is not None else None
    try:
        for raw in stream:
            if kept is not None:
                kept.write(raw)
                kept.flush()
            line = raw.decode(errors="replace").rstrip()
            tail.append(line)
            if on_line is not None:
                on_line(line)
    finally:
        if kept is not None:
            kept.close()


def output(command: Sequence[str], *, limit: float, env: Mapping[str, str] | None = None) -> str | None:
    """What a short command prints, or None if it can't be run, fails or takes longer than `limit` seconds."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            timeout=limit,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
