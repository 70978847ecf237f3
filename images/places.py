"""Paths: one state folder per checkout, one cache of tools per machine."""

import getpass
import os
import socket
from pathlib import Path

from environments import context

CHECKOUT = Path(__file__).resolve().parent.parent

CACHE_VARIABLE = "CALVINVERSE_CACHE"


def state_folder() -> Path:
    """The state folder (see `environments.context`), made if it is missing, readable by its owner only."""
    folder = context.state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def cache_folder() -> Path:
    """The folder for built tools, shared by all checkouts of a machine: CALVINVERSE_CACHE, else ~/.cache/calvinverse.

    It isn't created here, so that the search for a tool changes nothing.
    """
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser().absolute()
    return Path.home() / ".cache" / "calvinverse"


def whoami() -> str:
    """The current user for records: user@machine."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        # The user of a container may have no name.
        return f"{os.getuid()}@{socket.gethostname()}"
