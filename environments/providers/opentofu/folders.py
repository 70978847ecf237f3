"""Where tofu works: a private folder for each run, removed afterwards; one run at a time for a step on this machine."""

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from environments.providers.opentofu import watchdog
from environments.steps.base import Owner

ERRORED = "errored.tfstate"
"""The file in which tofu leaves a state that it could not hand in."""

PAUSE = 0.2
"""Seconds between two tries to get the lock."""

ORPHANS_AFTER = 2.0
"""Seconds after which the holders of a lock are examined: without a watchdog nothing ends them."""

STUCK_AFTER = 20.0
"""Seconds after which a lock is given up that is held by neither tofu nor a watchdog: longer than any lease."""

_RUN, _READ = "run-", "look-"
_READ_LOCK = "calvinverse.lock"


@dataclass(frozen=True)
class Workplace:
    """The folder of one run, and the lock that the run of tofu holds; `taken`: it is held already, as this."""

    folder: Path
    lock: Path
    taken: int | None = None

    def take(self, wait: Callable[[float], None]) -> int:
        """The lock, as a descriptor to pass on and close; while it is held elsewhere `wait` is called, which may raise.

        It is held for as long as any process has it open.
        """
        if self.taken is not None:
            return os.dup(self.taken)
        began = time.monotonic()
        while (handle := _take(self.lock)) is None:
            waited = time.monotonic() - began
            if waited > ORPHANS_AFTER and not _end_orphans(self.lock) and waited > STUCK_AFTER:
                # A worker was paused just before it could start tofu. When it resumes, its time is over and the
                # watchdog ends the run. So it may keep a lock on a file that is removed.
                self.lock.unlink(missing_ok=True)
            wait(PAUSE)
        return handle

    @contextmanager
    def held(self, wait: Callable[[float], None]) -> Iterator[int]:
        """The lock, until the end of this."""
        handle = self.take(wait)
        try:
            yield handle
        finally:
            os.close(handle)

    def write(self, name: str, content: bytes) -> None:
        """A file that only we can read."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)

    def errored(self) -> bytes | None:
        """The state that tofu could not hand in, if there is one."""
        file = self.folder / ERRORED
        return file.read_bytes() if file.is_file() else None


class WorkFolders:
    """All work folders below one folder of this machine: `<environment id>/<step>/<run>`."""

    def __init__(self, base: Path) -> None:
        self._base = base

    @contextmanager
    def for_run(
        self, owner: Owner, step: str, wait: Callable[[float], None], rescue: Callable[[bytes], None]
    ) -> Iterator[Workplace]:
        """A workplace for a run that changes something. Waits until an earlier run on this machine has ended.

        `rescue` gets the state of an earlier run that died before it could save it.
        """
        with self._folder(owner, step, _RUN) as folder:
            place = Workplace(folder, folder.parent / "lock")
            with place.held(wait):
                for other in folder.parent.glob(f"{_RUN}*"):
                    if other != folder:
                        if (left := Workplace(other, place.lock).errored()) is not None:
                            rescue(left)
                        shutil.rmtree(other, ignore_errors=True)
            yield place

    @contextmanager
    def for_reading(self, owner: Owner, step: str) -> Iterator[Workplace]:
        """A workplace for a run that only reads; nobody waits for it."""
        with self._folder(owner, step, _READ) as folder:
            place = Workplace(folder, folder / _READ_LOCK)
            with place.held(time.sleep) as handle:
                yield replace(place, taken=handle)

    @contextmanager
    def _folder(self, owner: Owner, step: str, prefix: str) -> Iterator[Path]:
        home = self._base / owner.id / step
        while True:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Another run may be removing folders at the same moment.
            with suppress(FileNotFoundError):
                folder = Path(tempfile.mkdtemp(prefix=prefix, dir=home))
                break
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _tidy(home)


def _take(file: Path) -> int | None:
    """The lock of a file that is still the one of that name; None when somebody holds it."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), file.stat()):
                    return handle
        except BlockingIOError:
            os.close(handle)
            return None
        os.close(handle)


def _tidy(home: Path) -> None:
    """Removes what dead runs left, and the folders of a step that nobody uses."""
    for other in home.glob(f"{_READ}*"):
        with suppress(FileNotFoundError):
            if (handle := _take(other / _READ_LOCK)) is not None:
                shutil.rmtree(other, ignore_errors=True)
                os.close(handle)
    with suppress(OSError):
        if [found.name for found in home.iterdir()] == ["lock"] and (handle := _take(home / "lock")) is not None:
            # A process that waits for this lock notices that the file was replaced.
            (home / "lock").unlink()
            os.close(handle)
        home.rmdir()
        home.parent.rmdir()


def _end_orphans(lock: Path) -> bool:
    """Kills what holds a lock, works in the lock's folder, and has no watchdog any more: providers of a killed tofu.

    Whether somebody of that folder holds it, killed or with a watchdog who will end it.
    """
    holders = [process for process in Path("/proc").glob("[0-9]*") if _holds(process, lock)]
    if any(watchdog.__file__.encode() in _read(process / "cmdline") for process in holders):
        return True
    killed = False
    for process in holders:
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(lock.parent):
                os.kill(int(process.name), signal.SIGKILL)
                killed = True
    return killed


def _holds(process: Path, lock: Path) -> bool:
    try:
        return any(handle.readlink() == lock for handle in (process / "fd").iterdir())
    except OSError:
        # Of another user, or ended meanwhile.
        return False


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
