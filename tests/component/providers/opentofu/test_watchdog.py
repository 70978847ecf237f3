"""The watchdog and the work folders: a program ends when it has to, with all that it started, and only one runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import Cancelled, StorageError
from environments.providers.opentofu import folders, watchdog
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.process import LeaseLimit, run_guarded
from tests.support.step_harness import Run
from tests.support.work_folders import ALPHA, never_waits, nothing_rescued

GENTLE = """
import signal, sys, time
def end(*_):
    print("asked", flush=True)
    for _ in range(40): print("x" * 5000, flush=True)
    open(sys.argv[1], "w").write("recorded")
    sys.exit(0)
signal.signal(signal.SIGINT, end)
print("ready", flush=True)
while True: time.sleep(1)
"""

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


class Guarded:
    """A program under a watchdog, whose worker is this test."""

    def __init__(self, *program: str, until: float = 30.0) -> None:
        read, write = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, str(read), *program],
            stdin=subprocess.PIPE,
            stdout=write,
            stderr=subprocess.PIPE,
            pass_fds=(read,),
            start_new_session=True,
        )
        os.close(write)
        self.output = os.fdopen(read, "rb")
        assert self.process.stdin is not None
        self.orders = self.process.stdin
        self.tell(f"until {watchdog.clock() + until}")

    def tell(self, order: str) -> None:
        """An order."""
        self.orders.write(order.encode() + b"\n")
        self.orders.flush()

    def line(self) -> str:
        """The next line of the program."""
        return self.output.readline().decode().strip()

    def status(self) -> int:
        """How it ended."""
        return self.process.wait(timeout=120)


@pytest.fixture
def guard() -> Iterator[Callable[..., Guarded]]:
    started: list[Guarded] = []

    def start(*program: str, **options: Any) -> Guarded:
        started.append(Guarded(*program, **options))
        return started[-1]

    yield start
    for guarded in started:
        guarded.process.kill()
        guarded.process.wait()
        guarded.orders.close()
        guarded.output.close()
        assert guarded.process.stderr is not None
        guarded.process.stderr.close()


def gone(process: int) -> bool:
    """Whether no process has this id, or only what is left of one."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_ends_as_its_program_does(guard: Callable[..., Guarded]) -> None:
    assert guard("/bin/sh", "-c", "exit 7").status() == 7
    assert guard("/bin/sh", "-c", "kill -TERM $$").status() == 128 + signal.SIGTERM
    missing = guard("/nowhere/tofu")
    assert missing.status() == watchdog.NOT_STARTED
    assert missing.process.stderr is not None
    assert b"/nowhere/tofu: No such file" in missing.process.stderr.read()


def test_it_starts_nothing_when_the_time_is_nearly_over(guard: Callable[..., Guarded], tmp_path: Path) -> None:
    late = guard("/bin/touch", str(tmp_path / "made"), until=watchdog.ASKED_BEFORE / 2)
    assert late.status() == watchdog.TOO_LATE
    assert not (tmp_path / "made").exists()


def test_without_a_worker_it_asks_the_program_to_end_and_hears_it_out(
    guard: Callable[..., Guarded], tmp_path: Path
) -> None:
    running = guard(sys.executable, "-c", GENTLE, str(tmp_path / "file"))
    assert running.line() == "ready"
    # As when the worker dies: both its ends close. The program says more than a pipe holds, and is not hurt by it.
    running.output.close()
    running.orders.close()
    assert running.status() == 0
    assert (tmp_path / "file").read_text() == "recorded"


def test_an_order_to_stop_asks_first(guard: Callable[..., Guarded], tmp_path: Path) -> None:
    running = guard(sys.executable, "-c", GENTLE, str(tmp_path / "file"))
    assert running.line() == "ready"
    running.tell("stop 20")
    assert running.line() == "asked"
    while running.line():
        pass
    assert running.status() == 0


def test_after_the_grace_everything_that_was_started_is_killed(guard: Callable[..., Guarded]) -> None:
    running = guard(sys.executable, "-c", STUBBORN)
    child = int(running.line())
    running.tell("stop 20")
    running.tell("stop 0.1")
    assert running.status() == 128 + signal.SIGKILL
    assert gone(child)


def test_at_the_moment_everything_is_killed_unless_there_is_a_later_one(guard: Callable[..., Guarded]) -> None:
    running = guard(sys.executable, "-c", STUBBORN, until=4.0)
    child = int(running.line())
    running.tell(f"until {watchdog.clock() + 6.0}")
    moment = watchdog.clock() + 6.0
    assert running.status() == 128 + signal.SIGKILL
    assert moment - 0.5 < watchdog.clock()
    assert gone(child)


def test_the_program_dies_with_its_watchdog(guard: Callable[..., Guarded], tmp_path: Path) -> None:
    running = guard("/bin/sh", "-c", "echo $$; exec sleep 600")
    program = int(running.line())
    running.process.kill()
    wait_until(lambda: gone(program))


class TestRunning:
    def run(self, run: Run, folder: Path, *program: str, lines: list[bytes] | None = None) -> Any:
        said: list[bytes] = [] if lines is None else lines
        handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
        return run_guarded(
            program,
            cwd=folder,
            env={"PATH": os.defpath},
            lock=handle,
            keep=(),
            limit=LeaseLimit(run),
            on_line=said.append,
            on_stop=lambda error: run.log(error.message),
        )

    def test_lines_come_one_by_one_and_complaints_apart(self, tmp_path: Path) -> None:
        lines: list[bytes] = []
        ended = self.run(Run(), tmp_path, "/bin/sh", "-c", "echo a; echo b >&2; printf c; exit 3", lines=lines)
        assert (lines, ended.complaint, ended.status, ended.killed) == ([b"a", b"c"], "b\n", 3, False)

    def test_a_reason_to_stop_ends_it_and_is_told(self, tmp_path: Path) -> None:
        class Stopped(Run):
            def before_effect(self) -> None:
                if self.lines != ["ready"]:
                    return
                raise Cancelled("Enough.", details={"forced": True})

        run = Stopped()
        handle = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
        ended = run_guarded(
            ["/bin/sh", "-c", "trap '' INT; echo ready; while :; do sleep 1; done"],
            cwd=tmp_path,
            env={"PATH": os.defpath},
            lock=handle,
            keep=(),
            limit=LeaseLimit(run),
            on_line=lambda line: run.log(line.decode()),
            on_stop=lambda error: None,
        )
        assert isinstance(ended.interruption, Cancelled)
        assert ended.killed

    def test_a_database_that_does_not_answer_is_no_reason_while_the_lease_lasts(self, tmp_path: Path) -> None:
        class Away(Run):
            def before_effect(self) -> None:
                self.effects += 1
                if self.effects > 1:
                    raise StorageError("The database is away.")

        run = Away()
        ended = self.run(run, tmp_path, "/bin/sleep", "1")
        assert run.effects > 1
        assert (ended.status, ended.interruption) == (0, None)


class TestFolders:
    @pytest.fixture
    def work(self, tmp_path: Path) -> WorkFolders:
        return WorkFolders(tmp_path / "work")

    def test_what_works_in_the_folder_without_a_watchdog_is_ended(
        self, work: WorkFolders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folders, "ORPHANS_AFTER", 0.0)
        with work.for_run(ALPHA, "net", never_waits, nothing_rescued) as first:
            handle = first.take(never_waits)
            orphan = subprocess.Popen(["/bin/sleep", "600"], cwd=first.folder, pass_fds=(handle,))
            os.close(handle)
            with work.for_run(ALPHA, "net", time.sleep, nothing_rescued):
                assert orphan.wait(timeout=120) == -signal.SIGKILL
