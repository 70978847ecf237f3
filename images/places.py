"""Paths: one state folder per checkout, one cache of tools per machine."""

import getpass
import os
import socket
from pathlib import Path

from environments.domain.errors import MachineError
from environments.homes import expanded
from environments.state_place import usable_state_folder

CHECKOUT = Path(__file__).resolve().parent.parent

CACHE_VARIABLE = "CALVINVERSE_CACHE"


def state_folder() -> Path:
    """The state folder (see `environments.state_place`). Raises `MachineError`."""
    return usable_state_folder()


def cache_folder() -> Path:
    """The folder for built tools, shared by all checkouts of a machine: CALVINVERSE_CACHE, else ~/.cache/calvinverse.

    It isn't created here, so that the search for a tool changes nothing.
    """
    if given := os.environ.get(CACHE_VARIABLE):
        return expanded(given, CACHE_VARIABLE).absolute()
    try:
        return Path.home() / ".cache" / "calvinverse"
    except RuntimeError as error:
        raise MachineError(
            "This user has no home folder, in which built tools are kept.",
            hint=f"Set HOME, or name a folder for them in {CACHE_VARIABLE}.",
        ) from error


def whoami() -> str:
    """The current user for records: user@machine."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        # The user of a container may have no name.
        return f"{os.getuid()}@{socket.gethostname()}"
