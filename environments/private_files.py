"""Files and folders that only their owner may read, written atomically."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from shlex import quote

from environments.domain.errors import MachineError

_HINT = "Check what is there, its rights, and the space on the disk."

_ATTEMPTS = 20
"""Attempts to remove a folder while others remove files in it."""


def private_folder(path: Path) -> Path:
    """The folder, made (0700) if it is missing, with the folders above it. Raises `MachineError`."""
    try:
        if not path.is_dir():
            private_folder(path.parent) if not path.parent.is_dir() else None
            path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        why = "there is a file in its place" if path.exists() and not path.is_dir() else error.strerror or str(error)
        raise MachineError(f"The folder {path} can't be made: {why}.", hint=_HINT) from error
    return path


def write_private(path: Path, text: str) -> None:
    """Writes a file (0600) durably and atomically: after a crash it has the old content or the new one.

    Missing folders above it are made (0700). Raises `MachineError`.
    """
    draft: str | None = None
    try:
        private_folder(path.parent)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.is_dir() and not path.is_symlink():
            path.rmdir()  # somebody made it in the file's place; not with things in it
        Path(draft).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)
        raise cant_write(path, error) from error


def cant_write(path: Path, error: OSError) -> MachineError:
    """The error for a file or a folder that can't be written."""
    if path.is_dir() and error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
        return MachineError(f"{path} can't be written: it is a folder.", hint=f"Remove it: `rm -r {quote(str(path))}`.")
    if error.errno == errno.ELOOP and path.is_symlink():
        return MachineError(f"{path} can't be written: it is a link.", hint=f"Remove it: `rm {quote(str(path))}`.")
    return MachineError(f"{path} can't be written: {error.strerror or error}.", hint=_HINT)


def write_if_changed(path: Path, text: str) -> bool:
    """Writes the file if its content differs; returns whether it did. Raises `MachineError`."""
    with contextlib.suppress(OSError, UnicodeDecodeError):  # then what is there isn't that text
        if path.read_text(encoding="utf-8") == text:
            return False
    write_private(path, text)
    return True


def open_private(path: Path, flags: int = 0) -> int:
    """A descriptor to write to a file with, which is made (0600) if it is missing. Raises `MachineError`.

    A link isn't followed: what it leads to is another's. `flags`: more of those of `os.open`.
    """
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    except OSError as error:
        raise cant_write(path, error) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock among threads and processes; the kernel releases it when its holder dies.

    Raises `MachineError` where its file can't be made.
    """
    private_folder(path.parent)
    with os.fdopen(open_private(path), "w") as file:
        flock(file, LOCK_EX)
        yield


def discard(path: Path) -> None:
    """Removes a file, or whatever else somebody has put in its place. Raises `OSError`."""
    if path.is_dir() and not path.is_symlink():
        remove_folder(path)
    path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Removes a folder and its content, if it exists; others may remove files in it meanwhile."""
    for _ in range(_ATTEMPTS):
        if not path.exists():
            return
        with contextlib.suppress(FileNotFoundError):  # a file that was there when the folder was read
            shutil.rmtree(path)
    if path.exists():
        shutil.rmtree(path)
