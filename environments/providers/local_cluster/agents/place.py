"""Paths of state folders that agents can be started with, and where the supervisord of one listens."""

import re
from pathlib import Path

from environments.domain.errors import InvalidInput
from environments.state_origin import configured, read_configuration

_UNFIT = re.compile(r"[\x00-\x1f\x7f:\\]|\s[#;]")
"""What a path can't have in it: lists of paths have colons between them, and supervisord takes others for comments."""


def check_path(state: Path) -> None:
    """Raises `InvalidInput` for the path of a state folder that agents can't be started with."""
    if (found := _UNFIT.search(str(state))) is not None:
        raise InvalidInput(
            f"Agents can't be started in the folder {str(state)!r}: its path has {found[0]!r} in it.",
            hint="Move the checkout, or name another folder with CALVINVERSE_STATE.",
        )


def recorded_socket(supervisor: Path) -> Path | None:
    """Where the supervisord of this folder listens, by its configuration; None if that is of another folder."""
    found = read_configuration(supervisor / "supervisord.conf")
    if configured(found, "supervisord", "logfile") != str(supervisor / "supervisord.log"):
        return None
    socket = configured(found, "unix_http_server", "file")
    return Path(socket) if socket else None
