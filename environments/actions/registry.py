"""The registry of what a person can do: the command line, the TUI's keys, palette and help, and the docs read it.

An action that has a `command` is a command of `calvinverse`; one that has `keys` or places can be done in the TUI.
"""

from collections.abc import Iterator

from environments.actions.action import Action, Place
from environments.actions.in_tui import VIEW_ACTIONS
from environments.actions.on_access import ACCESS_ACTIONS
from environments.actions.on_accounts import ACCOUNT_ACTIONS
from environments.actions.on_audit import AUDIT_ACTIONS
from environments.actions.on_catalogue import CATALOGUE_ACTIONS
from environments.actions.on_contexts import CONTEXT_ACTIONS
from environments.actions.on_environments import ENVIRONMENT_ACTIONS
from environments.actions.on_events import EVENT_ACTIONS
from environments.actions.on_holds import HOLD_ACTIONS
from environments.actions.on_people import PEOPLE_ACTIONS
from environments.actions.on_previews import PREVIEW_ACTIONS
from environments.actions.on_sign_in import SIGN_IN_ACTIONS
from environments.actions.on_time import TIME_ACTIONS
from environments.actions.on_webhooks import WEBHOOK_ACTIONS

ACTIONS = (
    *ENVIRONMENT_ACTIONS,
    *HOLD_ACTIONS,
    *EVENT_ACTIONS,
    *CATALOGUE_ACTIONS,
    *ACCESS_ACTIONS,
    *ACCOUNT_ACTIONS,
    *TIME_ACTIONS,
    *WEBHOOK_ACTIONS,
    *PEOPLE_ACTIONS,
    *AUDIT_ACTIONS,
    *PREVIEW_ACTIONS,
    *CONTEXT_ACTIONS,
    *SIGN_IN_ACTIONS,
    *VIEW_ACTIONS,
)

_BY_ID = {action.id: action for action in ACTIONS}
_BY_COMMAND = {action.command: action for action in ACTIONS if action.command is not None}


def action(id: str) -> Action:
    """The action of this id. Raises `KeyError`: ids are written in code, never typed by people."""
    return _BY_ID[id]


def for_command(*path: str) -> Action:
    """The action of a command: `for_command("env", "destroy")`. Raises `KeyError` like `action`."""
    return _BY_COMMAND[path]


def commands() -> Iterator[Action]:
    """Every action that the command line has."""
    return (action for action in ACTIONS if action.command is not None)


def at(place: Place) -> Iterator[Action]:
    """Every action that can be done on this screen of the TUI."""
    return (action for action in ACTIONS if place in action.places)
