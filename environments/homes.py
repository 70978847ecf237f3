"""Paths that begin with `~`, and users without a home: a container may run as one that the machine doesn't know."""

from pathlib import Path

from environments.domain.errors import InvalidInput


def expanded(path: str | Path, name: str) -> Path:
    """The path with the home in the place of `~`. Raises `InvalidInput` where there is none.

    `name`: the variable or the option that gives the path.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidInput(
            f"{path} can't be found: there is no such home folder.",
            hint=f"Set HOME, or give another path with {name}.",
        ) from error
