"""What `tofu init` made of a module, kept for the next run of the same: links to providers, and which modules it uses.

It holds no secret: the backend is configured by environment variables. It only saves time: tofu compares each provider
with the hash in the lock file every time, and when something doesn't match any more, `init` is run.
"""

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from environments.providers.opentofu.ports import Module

DATA = ".terraform"
LOCK_FILE = ".terraform.lock.hcl"

MOST = 200
"""Modules that are kept; the least recently used are removed."""

LARGEST = 4 * 1024 * 1024
"""Bytes; what is larger (modules fetched from elsewhere) is fetched again."""


class Prepared:
    """A folder of such results, shared by all runs of this machine."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def key(self, program: Path, settings: str, module: Module) -> str:
        """Equal for runs for which `init` does the same."""
        digest = hashlib.sha256()
        facts = program.stat()
        said = [str(program), facts.st_mtime_ns, facts.st_size, settings]
        digest.update(json.dumps(said).encode())
        for path in sorted(module.files):
            digest.update(f"\0{path}\0{len(module.files[path])}\0".encode() + module.files[path])
        digest.update(b"\0lock\0" + module.lock)
        return digest.hexdigest()[:32]

    def restore(self, key: str, folder: Path) -> bool:
        """Puts what is kept into a work folder; whether there was something."""
        kept = self._base / key
        if not (kept / DATA).is_dir():
            return False
        try:
            shutil.copytree(kept / DATA, folder / DATA, symlinks=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(kept / LOCK_FILE, folder / LOCK_FILE)
            os.utime(kept)
        except OSError:
            # Another run removes it at the same moment.
            shutil.rmtree(folder / DATA, ignore_errors=True)
            return False
        return True

    def keep(self, key: str, folder: Path) -> None:
        """Keeps what `init` has made in a work folder."""
        made = folder / DATA
        if not made.is_dir() or _size(made) > LARGEST:
            return
        self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self._base))
        try:
            shutil.copytree(made, unfinished / DATA, symlinks=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(folder / LOCK_FILE, unfinished / LOCK_FILE)
            # Another run may have kept the same before.
            with suppress(OSError):
                unfinished.rename(self._base / key)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        self._limit()

    def forget(self, key: str) -> None:
        """Removes it."""
        shutil.rmtree(self._base / key, ignore_errors=True)

    def _limit(self) -> None:
        with suppress(FileNotFoundError):
            kept = sorted(self._base.iterdir(), key=lambda found: found.stat().st_mtime)
            for old in kept[:-MOST]:
                shutil.rmtree(old, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*"))
