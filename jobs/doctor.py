"""The checks of `calvinverse doctor` for this machine and its deployment. The command line imports this by name."""

from environments.context import state_folder
from images import machine
from jobs.places import Places
from jobs.status import listeners


def examine_machine() -> list[machine.Check]:
    """Makes every check. The ports of the present deployment are expected to be in use."""
    state = state_folder()
    return machine.examine(listeners(Places(state)) if state.is_dir() else [])
