"""Where the container engine of this machine listens."""

import os
import stat
from pathlib import Path

_DEFAULT = "/var/run/docker.sock"


def socket_path() -> Path:
    """The socket that DOCKER_HOST names, or the usual one; what an address of another kind names is no such file."""
    return Path(os.environ.get("DOCKER_HOST", _DEFAULT).removeprefix("unix://"))


def socket() -> Path | None:
    """The socket itself, links followed; None when there is none."""
    path = socket_path().resolve()
    try:
        return path if stat.S_ISSOCK(path.stat().st_mode) else None
    except OSError:
        return None
