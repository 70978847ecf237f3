"""What `calvinverse doctor` checks of this machine, with what is deployed from here; the command line finds it here."""

from environments.context import state_folder
from images import machine
from jobs.places import Places
from jobs.status import listeners


def examine_machine() -> list[machine.Check]:
    """Makes every check. The ports on which parts of this deployment listen are expected to be taken."""
    state = state_folder()
    return machine.examine(listeners(Places(state)) if state.is_dir() else [])
