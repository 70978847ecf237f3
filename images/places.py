"""Where things are kept: one state folder for a checkout, one cache of tools for a machine."""

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def is_checkout(folder: Path = CHECKOUT) -> bool:
    """Whether the code runs from a checkout, where the task graph lies beside it, and not from an installed wheel."""
    return (folder / "dodo.py").is_file() and (folder / "pyproject.toml").is_file()


def state_folder() -> Path:
    """The folder for all state: CALVINVERSE_STATE, else `.calvinverse` in the checkout, else one in the home folder.

    It is made if need be, readable by its owner alone.
    """
    if given := os.environ.get("CALVINVERSE_STATE"):
        folder = Path(given).expanduser().absolute()
    elif is_checkout():
        folder = CHECKOUT / ".calvinverse"
    else:
        folder = Path.home() / ".local" / "state" / "calvinverse"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def cache_folder() -> Path:
    """The folder for built tools, shared by all checkouts of a machine: CALVINVERSE_CACHE, else ~/.cache/calvinverse.

    It isn't made here: looking for a tool leaves no trace.
    """
    if given := os.environ.get("CALVINVERSE_CACHE"):
        return Path(given).expanduser().absolute()
    return Path.home() / ".cache" / "calvinverse"
