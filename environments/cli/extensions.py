"""Commands of packages that this one doesn't import: `images` and `tui` import it, and are found by path at run time.

A package may be missing: the wheel has no `images`, and the image of the service may have no `tui`. The help lists the
commands anyway; when they run without their package, they say what they need.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from environments.actions.registry import commands
from environments.cli.session import Session, command, is_registered
from environments.domain.errors import MachineError


@dataclass(frozen=True)
class Extension:
    """Commands of another package.

    `module` registers the commands whose paths begin with `path`, when it is imported. `missing` and `hint` are
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


def extend(extension: Extension) -> None:
    """Registers the commands of another package; if the package is missing, commands that report that."""
    if find_module(extension.module) is not None:
        return
    for action in commands():
        path = action.command or ()
        if path[: len(extension.path)] == extension.path and not is_registered(path):
            command(*path, rest=True)(_stand_in(extension))


def _stand_in(extension: Extension) -> Callable[[Session], None]:
    def run(session: Session) -> None:
        raise MachineError(extension.missing, hint=extension.hint)

    return run
