"""The file of OpenBao's audit device: OpenBao keeps its path, lets nobody change it, and doesn't start without it.

So the path is one from the folder in which OpenBao works, and stays true where that is moved to. Older versions gave
the whole path: where such a device is, OpenBao adds the present one and removes that, and until then it writes to the
former path, which leads to the present file meanwhile.
"""

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from environments.domain.errors import MachineError
from environments.kept_files import NotKept, read_object
from environments.mounts import is_same
from environments.private_files import discard, write_private

_NAME = "file-here/"
"""Older versions had others for devices with the whole path."""

FILE = "audit.log"
"""In the folder in which OpenBao works."""

_DAMAGED = (NotKept, ValueError, LookupError, TypeError)
"""What reading a file raises that holds something else."""


class AuditTrail:
    """The audit device of an OpenBao that works in `folder`, where its configuration and data are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._moved = folder / "former-audit"

    def device(self) -> dict[str, Any]:
        """As the configuration declares it."""
        return {
            "type": "file",
            "path": _NAME,
            "description": "every request and answer, secrets hashed",
            "options": {"file_path": FILE, "mode": "0600"},
        }

    def prepare(self, config: Path) -> None:
        """Before the configuration is written, and OpenBao started: has the former path lead to the present file.

        `config` is the file of the configuration so far. Raises `MachineError` where another's file is at that path.
        """
        place = _declared(config)
        if place is not None and not is_same(place, self._folder):
            above = [str(folder) for folder in place.parents if not folder.exists()]
            write_private(self._moved, json.dumps({"folder": str(place), "made": above}))
        former, _ = self._former()
        if former is not None and not _is_own(former, self._folder):
            raise MachineError(
                f"OpenBao would write its audit log to {former / FILE} once more, which is another's file.",
                hint=f"Move {former} away until `doit deploy` has ended.",
            )
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


def _is_own(former: Path, folder: Path) -> bool:
    """Whether the file in a former folder is missing, or one of this user that no link of another leads to."""
    if former.is_symlink():
        return is_same(former, folder)
    try:
        status = (former / FILE).lstat()
        return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() == former.lstat().st_uid
    except OSError:
        return True


def _declared(config: Path) -> Path | None:
    """The folder of the file of the device in a configuration of an older version; None if there is none."""
    try:
        (device,) = read_object(config)["audit"]
        place = Path(device["options"]["file_path"]).parent
    except _DAMAGED:
        return None
    return place if place.is_absolute() else None
