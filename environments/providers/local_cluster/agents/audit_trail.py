"""The file of OpenBao's audit device: OpenBao keeps its path, lets nobody change it, and doesn't start without it.

So at another path the device gets another name: OpenBao adds that one and removes the one before. Until then it writes
to the former path, which leads to the present file meanwhile.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from environments.kept_files import NotKept, read_object
from environments.private_files import discard, write_private

_NAME = "file/"

_DAMAGED = (NotKept, ValueError, LookupError, TypeError)
"""What reading a file raises that holds something else."""


class AuditTrail:
    """The audit device of an OpenBao whose configuration and data are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "audit.log"
        self._moved = folder / "former-audit"

    def device(self, config: Path) -> dict[str, Any]:
        """As the configuration declares it; `config` is the file of the configuration so far."""
        name, path = _declared(config)
        if path != str(self._file):
            name = _NAME if path is None else f"file-{hashlib.sha256(os.fsencode(self._file)).hexdigest()[:8]}/"
        return {
            "type": "file",
            "path": name,
            "description": "every request and answer, secrets hashed",
            "options": {"file_path": str(self._file), "mode": "0600"},
        }

    def prepare(self, config: Path) -> None:
        """Before the configuration is written, and OpenBao started: has the former path lead to the present file."""
        _, path = _declared(config)
        if path is not None and path != str(self._file):
            place = Path(path).parent
            above = [str(folder) for folder in place.parents if not folder.exists()]
            write_private(self._moved, json.dumps({"folder": str(place), "made": above}))
        former, _ = self._former()
        # Where it can't be written, OpenBao says so.
        if former is not None and not os.path.lexists(former):
            with contextlib.suppress(OSError):
                former.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                former.symlink_to(self._folder)

    def settle(self) -> None:
        """Once OpenBao writes to the present path alone: removes what `prepare` made."""
        former, made = self._former()
        if former is None:
            return
        with contextlib.suppress(OSError):
            if former.is_symlink():
                former.unlink()
            for folder in made:
                folder.rmdir()
        discard(self._moved)

    def _former(self) -> tuple[Path | None, list[Path]]:
        """The folder of the former path, and those above it that weren't there, the deepest first."""
        try:
            found = read_object(self._moved)
            return Path(found["folder"]), [Path(folder) for folder in found["made"]]
        except _DAMAGED:
            return None, []


def _declared(config: Path) -> tuple[str, str | None]:
    """Name and path of the device in a configuration; no path if there is none."""
    try:
        (device,) = read_object(config)["audit"]
        return str(device["path"]), str(device["options"]["file_path"])
    except _DAMAGED:
        return _NAME, None
