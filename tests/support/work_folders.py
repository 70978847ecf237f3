"""How tests run modules in work folders, where nothing has to wait and nothing is to be rescued."""

from environments.domain.errors import CalvinverseError
from environments.steps.base import Owner

ALPHA = Owner("env-1", "alpha")


def never_waits(_seconds: float) -> None:
    """Fails the test: nobody has to wait."""
    raise AssertionError("nobody has to wait here")


def nothing_rescued(_state: bytes) -> None:
    """Refuses a state: no run has left one."""
    raise CalvinverseError("There is nothing to rescue.")
