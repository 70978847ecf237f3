"""What in a state folder is a deployment's: deploy marks the folder, and older ones are recognised by their content.

Only in a folder that is marked our folders are ours as a whole, and so is whatever is in the place of our files.
Elsewhere a thing is ours if its name is one that nobody else uses there. What is left stays, and is told.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from shlex import quote

from environments.context import STATE_VARIABLE, state_folder
from environments.domain.errors import MachineError
from environments.private_files import cant_write, discard, open_private, remove_folder
from environments.shared_places import (
    OWNER_FILE,
    claim_place,
    entries,
    is_claimed,
    is_elsewhere,
    refuse_others_place,
)

MARK_FILE = "deploy.lock"
"""The lock of deploy and undeploy; its content is the mark."""

LEFT_CONTAINERS = "left-containers.json"
"""Where it is kept which containers stay, because the engine doesn't answer."""

_LOCKS = (
    *(MARK_FILE, ".*.lock", "local/lock", "credentials/lock", "credentials/*.lock", "agents/*.lock"),
    *("agents/supervisor/lock", "agents/nomad/isolation/lock", "images/*/lock"),
)
"""The locks in a state folder."""

_MARK = b"Calvinverse deploys from this folder. `doit undeploy` removes what deploy made in it.\n"

_AGENTS = ("consul", "openbao", "nomad")

_PROOFS = (
    *("local/calvinverse.sqlite", "local/parameters.key", "credentials/cluster.json"),
    *("agents/supervisor/supervisord.conf", "agents/certificates/config.json"),
    *(f"agents/{agent}/{name}" for agent in _AGENTS for name in ("owner", "config.json", "data")),
)
"""Any of them is in every state folder that something was deployed from."""

_CONTENT: Mapping[str, Sequence[str]] = {
    "local": ("calvinverse.sqlite*", "lock", "parameters.key", ".parameters.key.*", "*place.json*"),
    "agents": (*_AGENTS, "supervisor", "logs", "certificates", "*.lock"),
    "volumes": ("calvinverse-*", "builds"),  # the second by older versions
    "credentials": (
        *(
            "*place.json*",
            "cluster.json",
            ".cluster.json.*",
            "lock",
            "ca.pem",
            "parts-ca.*",
            "openbao-*",
            "*-admin.token",
        ),
        *(".*-admin.token.*", ".ca.pem.*", ".parts-ca.*", ".openbao-*"),
    ),
}
"""Our folders, and the names of all that we put right into them."""

_BESIDE = (
    *("local.*", "local-*", "token", "*.pem", "connections.json", "context.json", "contexts", "sessions"),
    *("images", "docker", "tools", "versions.json", "lock", "lock.log", "tests", "service", "release", "site"),
    *(LEFT_CONTAINERS, MARK_FILE, "site.log", "traceback.txt", "doit.db*", "claims", ".*"),
)
"""The names of what else is in a state folder."""

_TOKEN = b"cv_"


def is_marked(state: Path) -> bool:
    """Whether deploy has marked this state folder as its own."""
    try:
        with (state / MARK_FILE).open("rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False


def unmark(state: Path) -> None:
    """Takes the mark from a state folder from which all has been removed. Raises `MachineError`."""
    if is_marked(state):
        os.close(open_private(state / MARK_FILE, os.O_TRUNC))  # in place: this process holds the lock


def is_ours(state: Path) -> bool:
    """Whether something was deployed from this state folder."""
    return is_marked(state) or _is_proved(state)


def claim(state: Path) -> None:
    """Marks a state folder before something is deployed from it for the first time.

    Raises `MachineError`, and changes nothing, for a folder in which other things are: undeploy could remove them.
    """
    if state.resolve() in _crowded():
        raise MachineError(
            f"{state} can't be a state folder: it holds more than a deployment.",
            hint=f"Name a folder that is empty, or missing, in {STATE_VARIABLE}. What was deployed from this one is "
            "removed by `doit undeploy`.",
        )
    elsewhere = [name for name in _CONTENT if (state / name).is_dir() and is_elsewhere(state / name)]
    for name in elsewhere:
        refuse_others_place(state, name)
    # Of volumes each has a name that nobody else gives.
    checked = [name for name in _CONTENT if name != "volumes" or name not in elsewhere]
    unclaimed = [path for name in elsewhere if name in checked for path in _unclaimed(state, name)]
    # Where neither is left, an undeploy of an older version left the mark.
    if not is_marked(state) or not any(os.path.lexists(state / name) for name in ("local", "agents")):
        _claim_new(state, checked, unclaimed)
    if unclaimed:
        raise MachineError(
            f"{unclaimed[0].parent} can't be used: other things are there, such as {unclaimed[0].name}.",
            hint="Have it lead to a folder that is empty, or move that away.",
        )
    for name in elsewhere:
        claim_place(state, name)


def _claim_new(state: Path, folders: Sequence[str], unclaimed: Sequence[Path]) -> None:
    others = [path for name in folders for path in _others(state / name)]
    if not is_own_token(state / "token"):
        others.append(state / "token")
    if not _is_proved(state):
        beside = [] if state == state_folder({}) or not state.is_dir() else _unknown(state)
        if found := list(dict.fromkeys([*others, *unclaimed, *beside])):
            raise MachineError(
                f"{state} can't be a state folder: deploy didn't make {_named(found)}.",
                hint=f"Name a folder that is empty, or missing, in {STATE_VARIABLE}, or move that away.",
            )
    if not others:
        _mark(state / MARK_FILE)


def refuse_others(state: Path) -> None:
    """Raises `MachineError` for a folder that nothing was deployed from, if our folders in it hold something."""
    if is_ours(state):
        return
    found = [path for name in _CONTENT if os.path.lexists(path := state / name) and not _is_empty(path)]
    if found:
        raise MachineError(
            f"Nothing was deployed from {state}: {_named(found)} can't be removed as a deployment's.",
            hint=f"Name the state folder of the deployment in {STATE_VARIABLE}.",
        )


def free_locks(state: Path) -> None:
    """Removes what is in the place of our locks and is no file: nobody holds a lock on it. Raises `OSError`."""
    # A link that leads nowhere is found, too; with pathlib it is not.
    names = [name for pattern in _LOCKS for name in glob(pattern, root_dir=state)]  # noqa: PTH207 - see above
    theirs = _of_others(state)
    for path in (state / name for name in names if not name.startswith(theirs)):
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        elif path.is_symlink() or not path.is_file():
            path.unlink(missing_ok=True)


def remove_own(state: Path, name: str) -> list[Path]:
    """Removes what is ours in one of our folders, and the folder or the link to it; returns what stays there.

    The folder that a link leads to stays, and one where a disk is mounted, and so does what we don't know in it. Raises
    `OSError`.
    """
    path = state / name
    elsewhere = is_elsewhere(path)
    if not path.is_dir() or (is_marked(state) and not elsewhere):
        if path.is_file() and not is_marked(state) and path.stat().st_size:
            return [path]
        discard(path)
        return []
    known = _known_elsewhere(state, name) if elsewhere else _CONTENT[name]
    for entry in path.iterdir():
        if _has_name_of(entry, known):
            discard(entry)
    left = entries(path.resolve())
    if path.is_symlink():
        path.unlink()
    elif not left and not elsewhere:
        path.rmdir()
    return left


def remaining(state: Path) -> list[Path]:
    """What is left in our folders after a removal."""
    return [path for name in _CONTENT if (state / name).is_dir() for path in entries(state / name)]


def is_own_token(path: Path) -> bool:
    """Whether a token of ours is in this file, perhaps a damaged one, or nothing."""
    try:
        if path.is_dir():
            return not any(path.iterdir())
        with path.open("rb") as file:
            start = file.read(1000).strip()
    except FileNotFoundError:
        return not path.is_symlink()
    except OSError:
        return False
    return not start or start.startswith(_TOKEN)


def _is_proved(state: Path) -> bool:
    """What others have where a link leads proves nothing."""
    theirs = _of_others(state)
    return any(os.path.lexists(state / proof) for proof in _PROOFS if not proof.startswith(theirs))


def _of_others(state: Path) -> tuple[str, ...]:
    """What the names begin with of all that is in our folders elsewhere, where that isn't this deployment's."""
    return tuple(f"{name}/" for name in _CONTENT if is_elsewhere(state / name) and not is_claimed(state, name))


def _crowded() -> list[Path]:
    """The root folder, and the home of a user who has one."""
    found = [Path("/")]
    with suppress(RuntimeError):
        found.append(Path.home().resolve())
    return found


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not entries(folder)


def _others(folder: Path) -> list[Path]:
    """What is in the place of one of our folders, or in it, and has no name that we give."""
    if not folder.is_dir():
        return [folder] if os.path.lexists(folder) else []
    known = (*_CONTENT[folder.name], OWNER_FILE)
    return [path for path in entries(folder) if not _has_name_of(path, known)]


def _unknown(state: Path) -> list[Path]:
    """What else is in a folder and no state folder has."""
    known = (*_CONTENT, *_BESIDE)
    return [path for path in entries(state) if not _has_name_of(path, known)]


def _has_name_of(path: Path, known: Sequence[str]) -> bool:
    return any(fnmatchcase(path.name, name) for name in known)


def _known_elsewhere(state: Path, name: str) -> Sequence[str]:
    """The names of all that is ours in a folder of ours that is elsewhere."""
    if not is_claimed(state, name):
        return ()
    if name != "volumes":  # a disk of volumes may have other things, too
        return (*_CONTENT[name], OWNER_FILE)
    return (*(known for known in _CONTENT[name] if known.startswith("calvinverse")), OWNER_FILE)


def _unclaimed(state: Path, name: str) -> list[Path]:
    """What is in a folder of ours that is elsewhere, and isn't this deployment's yet."""
    return [] if is_claimed(state, name) else [path for path in entries(state / name) if path.name != OWNER_FILE]


def _mark(path: Path) -> None:
    """In place: another process may hold the lock."""
    descriptor = open_private(path)
    try:
        os.pwrite(descriptor, _MARK, 0)
    except OSError as error:
        raise cant_write(path, error) from error
    finally:
        os.close(descriptor)


def _named(paths: Sequence[Path]) -> str:
    shown = ", ".join(quote(str(path)) for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
