"""By which path the state folder of a cluster is known, and whether it was moved since its agents were started.

The configuration of supervisord says by which path they were started. Another path that leads to the same folder, such
as a link or a bind mount, changes nothing.
"""

import configparser
import json
import re
from pathlib import Path

from environments.domain.errors import InvalidInput, MachineError

_CONFIG = Path("agents", "supervisor", "supervisord.conf")
_SECTION, _LOG = "supervisord", "supervisord.log"

_UNFIT = re.compile(r"[\x00-\x1f\x7f:\\]|\s[#;]")
"""What a path can't have in it: lists of paths have colons between them, and supervisord takes others for comments."""


def check_path(state: Path) -> None:
    """Raises `InvalidInput` for the path of a state folder that agents can't be started with."""
    if (found := _UNFIT.search(str(state))) is not None:
        raise InvalidInput(
            f"Agents can't be started in the folder {str(state)!r}: its path has {found[0]!r} in it.",
            hint="Move the checkout, or name another folder with CALVINVERSE_STATE.",
        )


def known_by(state: Path) -> Path:
    """The path by which the agents of this state folder were started, as long as it leads there; else its own one."""
    recorded = _recorded(state)
    return recorded if recorded is not None and _is_same(recorded, state) else state.resolve()


def former(state: Path) -> Path | None:
    """The path that the folder had when its agents were started, if it was moved since; `state`: from `known_by`."""
    recorded = _recorded(state)
    return None if recorded is None or recorded == state or _is_same(recorded, state) else recorded


def refuse_copy(former: Path, state: Path, chosen: Path) -> None:
    """Raises `MachineError` if the folder at its former path is still there, so that this one is a copy of it.

    `chosen`: the file with the values of the cluster in `state`.
    """
    other = former / chosen.relative_to(state)
    if (cluster := _cluster(other)) is not None and cluster == _cluster(chosen):
        raise MachineError(
            f"The state folder {state} is a copy of {former}, and both have the same cluster.",
            hint=f"Work where {former} is, and remove the copy; a checkout can be moved, and not doubled.",
        )


def recorded_socket(supervisor: Path) -> Path | None:
    """Where the supervisord of this folder listens, by its configuration; None if that is of another folder."""
    found = _read(supervisor / _CONFIG.name)
    if found.get(_SECTION, "logfile", fallback="") != _literal(supervisor / _LOG):
        return None
    socket = found.get("unix_http_server", "file", fallback="")
    return Path(socket.replace("%%", "%")) if socket else None


def _recorded(state: Path) -> Path | None:
    log = _read(state / _CONFIG).get(_SECTION, "logfile", fallback="")
    return Path(log.replace("%%", "%")).parents[len(_CONFIG.parts) - 1] if log.startswith("/") else None


def _read(config: Path) -> configparser.RawConfigParser:
    found = configparser.RawConfigParser()
    try:
        found.read(config, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return configparser.RawConfigParser()
    return found


def _literal(path: Path) -> str:
    return str(path).replace("%", "%%")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _cluster(chosen: Path) -> str | None:
    try:
        found = json.loads(chosen.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return str(found.get("cluster")) if isinstance(found, dict) else None
