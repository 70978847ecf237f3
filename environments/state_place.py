"""The state folder, made and checked for whoever deploys from it."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from environments.context import STATE_VARIABLE, state_folder
from environments.domain.errors import MachineError
from environments.private_files import private_folder


def usable_state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder (see `environments.context`), made if it is missing, readable by its owner only.

    Raises `MachineError` where it can't be made, and for one that everybody may write to: it holds tokens.
    """
    folder = state_folder(environ)
    try:
        private_folder(folder)
        mode = folder.stat().st_mode
    except (MachineError, OSError) as error:
        why = error.message if isinstance(error, MachineError) else f"{folder} can't be used: {error.strerror}."
        hint = f"Remove what is there, or name another state folder in {STATE_VARIABLE}."
        raise MachineError(why, hint=hint) from error
    if mode & stat.S_IWOTH:
        raise MachineError(
            f"Everybody may write to the state folder {folder}, which holds tokens.",
            hint=f"Close it: `chmod 700 {quote(str(folder))}`.",
        )
    return folder
