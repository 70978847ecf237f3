"""The state folder, made and checked for whoever deploys from it."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from environments.context import STATE_VARIABLE, state_folder
from environments.domain.errors import MachineError
from environments.private_files import private_folder

_OTHERWISE = (
    f"Where that has no effect, as on some network file systems, name another state folder in {STATE_VARIABLE}."
)


def usable_state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder (see `environments.context`), made if it is missing, readable by its owner only.

    Raises `MachineError` where it can't be made, and for one that others may write to: it holds tokens, and what is
    there says what runs, and what is removed.
    """
    folder = state_folder(environ)
    try:
        private_folder(folder)
        status = folder.stat()
    except (MachineError, OSError) as error:
        why = error.message if isinstance(error, MachineError) else f"{folder} can't be used: {error.strerror}."
        hint = f"Remove what is there, or name another state folder in {STATE_VARIABLE}."
        raise MachineError(why, hint=hint) from error
    if status.st_uid not in _trusted(environ):
        raise MachineError(
            f"The state folder {folder} is of the user {status.st_uid}, who could change what you deploy or remove.",
            hint=f"Repeat this as that user. If it is yours, take it over: `{_sudo()}chown {os.geteuid()} "
            f"{quote(str(folder))}`. {_OTHERWISE}",
        )
    if others := status.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        who = "Everybody" if others & stat.S_IWOTH else "A group"
        raise MachineError(
            f"{who} may write to the state folder {folder}, which holds tokens.",
            hint=f"Close it: `chmod 700 {quote(str(folder))}`. {_OTHERWISE}",
        )
    return folder


def _trusted(environ: Mapping[str, str]) -> set[int]:
    """Users who can do this anyway: this one, root, and who became root with sudo."""
    trusted = {os.geteuid(), 0}
    if os.geteuid() == 0 and (user := environ.get("SUDO_UID", "")).isascii() and user.isdigit():
        trusted.add(int(user))
    return trusted


def _sudo() -> str:
    return "" if os.geteuid() == 0 else "sudo "
