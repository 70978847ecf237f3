"""One guarded run of tofu: its output line by line, and its end before another worker can hold the deployment."""

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from environments.domain.errors import (
    BackendUnavailable,
    CalvinverseError,
    Cancelled,
    Interrupted,
    LeaseLost,
    StepTimeout,
    Stopping,
)
from environments.providers.opentofu import watchdog
from environments.steps.base import StepRun

CHECK_INTERVAL = 0.25
"""Seconds between two checks whether the run may continue."""

SAFETY = 1.0
"""Seconds before the end of the lease at which tofu has to be dead."""

_COMPLAINTS = ".calvinverse-complaints"

LONGEST_COMPLAINT = 64 * 1024
"""Bytes at the end of standard error that are read."""

LONGEST_END = 20.0
"""Seconds that the watchdog may take to end after tofu's output has ended."""


class RunLimit(Protocol):
    """Whether a run of tofu may continue, and for how long that is certain."""

    def check(self) -> None:
        """Raises why it has to stop."""
        ...

    @property
    def sure_for(self) -> float:
        """Seconds."""
        ...


class LeaseLimit:
    """For runs that change something: as long as the worker holds the deployment of the step."""

    def __init__(self, run: StepRun, safety: float = SAFETY) -> None:
        self._run = run
        self._safety = safety

    def check(self) -> None:
        """Raises `Interrupted` or `StepTimeout`."""
        self._run.before_effect()

    @property
    def sure_for(self) -> float:
        """Seconds until shortly before the lease ends."""
        return self._run.sure_for - self._safety


class TimeLimit:
    """For runs that only read: a limit in seconds, and the step that they may be part of."""

    def __init__(self, limit: float, run: StepRun | None = None) -> None:
        self._limit = limit
        self._run = run
        self._end = time.monotonic() + limit

    def check(self) -> None:
        """Raises `BackendUnavailable` when the limit is over, and what the step raises."""
        if time.monotonic() >= self._end:
            raise BackendUnavailable(f"tofu didn't come to an end within {self._limit:.0f} s.")
        if self._run is not None:
            self._run.before_effect()

    @property
    def sure_for(self) -> float:
        """Seconds, including some in which tofu can end."""
        return self._end - time.monotonic() + 10.0


@dataclass(frozen=True)
class Ended:
    """How a run of tofu ended: its status, its standard error, and why it had to stop, if it had to."""

    status: int
    complaint: str
    interruption: CalvinverseError | None

    @property
    def killed(self) -> bool:
        """Whether it was killed: then it is unknown what it did."""
        return self.status > 128 or self.status < 0


def grace(error: CalvinverseError) -> float:
    """Seconds that tofu gets to end by itself, by the reason why it has to."""
    match error:
        case Cancelled() if error.details.get("forced"):
            return 2.0
        case LeaseLost():
            return 2.0
        case Stopping():
            return 5.0
        case StepTimeout():
            return 15.0
        case _:
            return 30.0


def run_guarded(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    lock: int,
    keep: Sequence[int],
    limit: RunLimit,
    on_line: Callable[[bytes], None],
    on_stop: Callable[[CalvinverseError], None],
) -> Ended:
    """Runs a program under a watchdog until it has ended.

    `lock` and `keep` are descriptors that all of them have open meanwhile. `lock` is closed here as soon as they have
    it: if this process is stopped, nobody has to wait for it.

    `on_stop` gets the first reason to stop, after tofu was asked to end.

    Raises only what `limit` raises before the program is started; later reasons to stop are in the answer.
    """
    try:
        limit.check()
        process, said, until = _start(command, cwd, env, (lock, *keep), limit)
    finally:
        os.close(lock)
    guarded = _Guarded(process, said, limit, on_line, on_stop)
    try:
        guarded.tell(f"until {until:.3f}")
        guarded.follow()
    finally:
        status = guarded.close()
    return Ended(status, _last(cwd / _COMPLAINTS), guarded.interruption)


def _last(complaints: Path) -> str:
    """The end of a file, in whole lines: half a secret could not be told from other text."""
    with complaints.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - LONGEST_COMPLAINT, 0))
        said = file.read(LONGEST_COMPLAINT)
    if size > LONGEST_COMPLAINT:
        said = said.partition(b"\n")[2]
    return said.decode(errors="replace")


def _start(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], handles: Sequence[int], limit: RunLimit
) -> tuple["subprocess.Popen[bytes]", int, float]:
    """The watchdog, a descriptor to read the program's output from, and until when it may run."""
    complaints = cwd / _COMPLAINTS
    until = watchdog.clock() + limit.sure_for
    said, saying = os.pipe()
    try:
        with complaints.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, str(said), *command],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=saying,
                stderr=errors,
                pass_fds=(said, *handles),
                start_new_session=True,
            )
    except BaseException:
        os.close(said)
        raise
    finally:
        os.close(saying)
    return process, said, until


class _Guarded:
    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        said: int,
        limit: RunLimit,
        on_line: Callable[[bytes], None],
        on_stop: Callable[[CalvinverseError], None],
    ) -> None:
        assert process.stdin is not None
        self._process = process
        self._orders = process.stdin
        self._said = said
        self._limit = limit
        self._on_line = on_line
        self._on_stop = on_stop
        self._grace = float("inf")
        self.interruption: CalvinverseError | None = None

    def tell(self, order: str) -> None:
        # A watchdog that has ended reads nothing any more; the end of its output is noticed separately.
        with contextlib.suppress(BrokenPipeError):
            self._orders.write(order.encode() + b"\n")
            self._orders.flush()

    def follow(self) -> None:
        """Takes lines and passes on how long the run may last, until the output ends."""
        rest = b""
        checked = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._said, selectors.EVENT_READ)
            while True:
                if selector.select(CHECK_INTERVAL):
                    said = os.read(self._said, 1 << 16)
                    if not said:
                        break
                    *lines, rest = (rest + said).split(b"\n")
                    for line in lines:
                        self._on_line(line)
                if time.monotonic() - checked >= CHECK_INTERVAL:
                    self._check()
                    checked = time.monotonic()
        if rest:
            self._on_line(rest)

    def _check(self) -> None:
        try:
            self._limit.check()
        except (Interrupted, StepTimeout, BackendUnavailable) as error:
            self._stop(error)
        except CalvinverseError:
            # The database doesn't answer: the run continues while the lease is certain without it.
            pass
        sure = self._limit.sure_for
        if sure > 0:
            self.tell(f"until {watchdog.clock() + sure:.3f}")

    def _stop(self, error: CalvinverseError) -> None:
        if (seconds := grace(error)) < self._grace:
            self._grace = seconds
            self.tell(f"stop {seconds}")
        if self.interruption is None:
            self.interruption = error
            self._on_stop(error)

    def close(self) -> int:
        """Ends the watchdog if it runs, which ends tofu; its status."""
        if self._process.poll() is None and self.interruption is None:
            self.tell("stop 5")
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()
        try:
            return self._process.wait(timeout=LONGEST_END)
        except subprocess.TimeoutExpired:
            # It is paused, or the machine hangs: the kernel kills tofu together with it.
            self._process.kill()
            return self._process.wait()
        finally:
            os.close(self._said)
