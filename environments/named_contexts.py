"""The contexts that `calvinverse context add` stores: `contexts/NAME.json` and `contexts/NAME.token` in the state
folder.

`contexts/current` names the one that `calvinverse context use` chose. `default` is no such context: it stands for the
context file of this machine, which deploy and `calvinverse serve` write.
"""

import os
import re
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from environments import stored_sessions
from environments.domain.errors import Conflict, InvalidInput, NotFound
from environments.domain.suggesting import told
from environments.private_files import discard, locked, remove_folder, write_private

DEFAULT = "default"
FOLDER = "contexts"

_CURRENT = "current"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SUFFIX = ".json"


class NamedContext(BaseModel):
    """What is stored of a context, but its token. `authority`: the pinned authority in PEM; empty: none is pinned."""

    model_config = ConfigDict(frozen=True)

    address: str
    authority: str = ""


def require_folders(state: Path) -> None:
    """Raises `InvalidInput` where something else is in the place of the state folder, or of that of contexts."""
    for folder in (state, state / FOLDER):
        if os.path.lexists(folder) and not folder.is_dir():
            helps = "Remove it, or name a folder in CALVINVERSE_STATE" if folder == state else "Remove it"
            raise InvalidInput(f"{folder} has to be a folder, and is something else.", hint=f"{helps}.")


def check_name(name: str) -> str:
    """The name of a context that is to be stored, checked. Raises `InvalidInput`."""
    if name == DEFAULT:
        raise InvalidInput(
            f"The name {DEFAULT!r} is taken: it stands for the service that this machine deployed or serves.",
            hint="Choose another name.",
        )
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} can't be the name of a context.",
            hint="Use at most 63 lower-case letters, digits, dots, hyphens and underscores; a letter or digit first.",
        )
    return name


def check_free(state: Path, name: str, *, replace: bool = False) -> None:
    """Raises `InvalidInput` for what can't be a context's name, and `Conflict` if one has it, unless it is replaced."""
    if _file(state, check_name(name)).exists() and not replace:
        raise Conflict(
            f"There is a context {name!r} already.", hint="Add --replace to replace it, or choose another name."
        )


def names(state: Path) -> list[str]:
    """The names of all stored contexts, sorted. Raises `InvalidInput` where there can be none."""
    require_folders(state)
    found = (path.name.removesuffix(_SUFFIX) for path in (state / FOLDER).glob(f"*{_SUFFIX}"))
    return sorted(name for name in found if _NAME.fullmatch(name))


def token_file(state: Path, name: str) -> Path:
    """The file of a context's token."""
    return state / FOLDER / f"{name}.token"


def read(state: Path, name: str) -> NamedContext:
    """A stored context. Raises `NotFound` with near names, and `InvalidInput` if it can't be read."""
    require_folders(state)
    path = _file(state, name)
    try:
        if not _NAME.fullmatch(name):
            raise FileNotFoundError
        return NamedContext.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise unknown(state, name) from error
    except (OSError, ValidationError) as error:
        raise InvalidInput(
            f"The context {name!r} in {path} can't be read.",
            hint=f"Remove it with `calvinverse context remove {name} --yes`, and add it again.",
        ) from error


def unknown(state: Path, name: str) -> NotFound:
    """The error for a name that no context has."""
    return NotFound(
        told(f"There is no context {name!r}.", name, [DEFAULT, *names(state)]),
        hint="See the contexts with `calvinverse context list`.",
    )


def store(state: Path, name: str, context: NamedContext, token: str | None, *, replace: bool = False) -> None:
    """Stores a context and its token (None: it has none but a session's), 0600.

    Raises `InvalidInput`, `MachineError`, and `Conflict` if the name is taken.

    `replace`: whatever has the name is replaced.
    """
    check_name(name)
    path = _file(state, name)
    with _locked(state):
        check_free(state, name, replace=replace)
        # In this order, so that no moment pairs the new token with the old address.
        discard(path)
        discard(token_file(state, name))
        stored_sessions.forget(state, name)
        if token is not None:
            write_private(token_file(state, name), f"{token}\n")
        write_private(path, context.model_dump_json(indent=2) + "\n")


def remove(state: Path, name: str) -> bool:
    """Removes a context and its token, readable or not; returns whether it was the current one. Raises `NotFound`."""
    with _locked(state):
        if name not in names(state):
            raise unknown(state, name)
        was_current = False
        with suppress(InvalidInput):
            was_current = current(state) == name
        if was_current:
            discard(state / FOLDER / _CURRENT)
        discard(_file(state, name))
        discard(token_file(state, name))
        stored_sessions.forget(state, name)
    return was_current


def current(state: Path) -> str:
    """The name of the current context: the one that was chosen last, else `default`.

    Raises `InvalidInput` if it can't be told which was chosen: another service must not take its place unnoticed.
    """
    require_folders(state)
    path = state / FOLDER / _CURRENT
    try:
        name = path.read_text(encoding="utf-8").strip()
        if name == DEFAULT or _NAME.fullmatch(name):
            return name
    except FileNotFoundError:
        return DEFAULT
    except (OSError, UnicodeDecodeError):
        pass
    raise InvalidInput(
        f"The current context isn't known: {path} can't be read, or names none.",
        hint="Choose one with `calvinverse context use`; `calvinverse context list` shows them.",
    )


def use(state: Path, name: str) -> None:
    """Makes a context the current one. Raises `NotFound` and `MachineError`."""
    with _locked(state):
        if name != DEFAULT and name not in names(state):
            raise unknown(state, name)
        if name == DEFAULT:
            discard(state / FOLDER / _CURRENT)
        else:
            _discard_folder(state / FOLDER / _CURRENT)
            write_private(state / FOLDER / _CURRENT, f"{name}\n")


def _file(state: Path, name: str) -> Path:
    return state / FOLDER / f"{name}{_SUFFIX}"


def _discard_folder(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_folder(path)


def _locked(state: Path) -> AbstractContextManager[None]:
    return locked(state / FOLDER / ".lock")
