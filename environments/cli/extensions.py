"""Commands of packages that this one doesn't import: `images` and `tui` import it, and are found by path at run time.

A package may be missing: the wheel has no `images`, and the image of the service may have no `tui`. The help lists the
commands anyway; when they run without their package, they say what they need.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import typer

from environments.actions.registry import commands
from environments.cli.session import Session, command
from environments.domain.errors import MachineError


@dataclass(frozen=True)
class Extension:
    """Commands of another package.

    `module` has a `typer.Typer` named `app`, with the commands whose paths begin with `path`. `missing` and `hint` are
    the error of a command without the package.
    """

    path: tuple[str, ...]
    module: str
    missing: str
    hint: str


IMAGES = Extension(
    path=("image",),
    module="images.cli.commands",
    missing="Images are only known in the checkout that built them.",
    hint="Run it in a checkout; `calvinverse image published` shows what the service deploys.",
)
TUI = Extension(
    path=("tui",),
    module="tui.cli",
    missing="The terminal UI is not installed here.",
    hint="Run it in a checkout, or where `calvinverse[tui]` is installed, with the `--address` of the service; "
    "`calvinverse env list` and `calvinverse env watch` need no terminal UI.",
)


def find_module(path: str) -> ModuleType | None:
    """The module, or None where its package is missing. Errors that its own imports raise are raised."""
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise
        return None


def extend(app: typer.Typer, extension: Extension) -> None:
    """Adds the commands of another package to a group; if the package is missing, commands that report that."""
    module = find_module(extension.module)
    if module is not None:
        app.registered_commands += module.app.registered_commands
        return
    known = {info.name for info in app.registered_commands}
    for action in commands():
        path = action.command or ()
        if path[: len(extension.path)] == extension.path and path[-1] not in known:
            command(app, *path, rest=True)(_stand_in(extension))


def _stand_in(extension: Extension) -> Callable[[Session], None]:
    def run(session: Session) -> None:
        raise MachineError(extension.missing, hint=extension.hint)

    return run


def sort_by_registry(app: typer.Typer, group: str) -> None:
    """Sorts the commands of a group in the order of the registry of actions."""
    names = [action.command[1] for action in commands() if action.command and action.command[0] == group]
    app.registered_commands.sort(key=lambda info: names.index(info.name or ""))
