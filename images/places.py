"""Where things are kept: one state folder for a checkout, one cache of tools for a machine."""

import getpass
import os
import socket
from pathlib import Path

from environments import context

CHECKOUT = Path(__file__).resolve().parent.parent

CACHE_VARIABLE = "CALVINVERSE_CACHE"


def state_folder() -> Path:
    """The folder for all state (see `environments.context`); made if need be, readable by its owner alone."""
    folder = context.state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def cache_folder() -> Path:
    """The folder for built tools, shared by all checkouts of a machine: CALVINVERSE_CACHE, else ~/.cache/calvinverse.

    It isn't made here: looking for a tool leaves no trace.
    """
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser().absolute()
    return Path.home() / ".cache" / "calvinverse"


def whoami() -> str:
    """Who works here, as records say it: user@machine."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        # A container's user may have no name.
        return f"{os.getuid()}@{socket.gethostname()}"
