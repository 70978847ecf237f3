"""Files and folders that only their owner may read, and that are there as a whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path

_ATTEMPTS = 20
"""How often a folder is removed in which something goes away meanwhile."""


def private_folder(path: Path) -> Path:
    """The folder, made with 0700 if need be; folders above it that are missing are made the same way."""
    if not path.is_dir():
        private_folder(path.parent) if not path.parent.is_dir() else None
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Writes a file (0600) durably and atomically: after a crash it has the old content or the new one."""
    private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_if_changed(path: Path, text: str) -> bool:
    """Writes the file if its content differs; says whether it did."""
    if path.exists() and path.read_text() == text:
        return False
    write_private(path, text)
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock among threads and processes; the kernel lets it go when its holder dies."""
    private_folder(path.parent)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        flock(file, LOCK_EX)
        yield


def remove_folder(path: Path) -> None:
    """Removes a folder and all in it; nothing happens if there is none. What goes away meanwhile is gone as well."""
    for _ in range(_ATTEMPTS):
        if not path.exists():
            return
        with contextlib.suppress(FileNotFoundError):  # a file that was there when the folder was read
            shutil.rmtree(path)
    if path.exists():
        shutil.rmtree(path)
