"""What an action is: an id, a title, help, and where and how it can be done."""

from dataclasses import dataclass
from enum import StrEnum

from environments.domain.lifecycle import State

PROGRAM = "calvinverse"


class Risk(StrEnum):
    """What doing it may cost."""

    READ = "read"
    CHANGE = "change"
    DESTRUCTIVE = "destructive"


class Place(StrEnum):
    """A screen of the TUI on which an action can be done."""

    LIST = "list"
    DETAIL = "detail"
    RULES = "rules"
    POLICIES = "policies"
    CALENDARS = "calendars"
    CHANNELS = "channels"
    HOLDS = "holds"
    TRIGGERS = "triggers"
    EVENTS = "received events"
    PREVIEWS = "previews"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing a person can do.

    `title` names it in menus, `help` is one sentence, `detail` is what the help of a command adds. `command` is the
    path below `calvinverse`; None: only in the TUI. `keys` are Textual's names of keys, the first one is shown; an
    action with `places` and no keys is reached through the palette. `states` None: whatever the environment's state;
    otherwise it needs one environment in one of these states. `admins`: nobody else may do it. `footer` is the short
    word for the TUI's bottom line; empty: not there.
    """

    id: str
    title: str
    help: str
    risk: Risk
    detail: str = ""
    command: tuple[str, ...] | None = None
    keys: tuple[str, ...] = ()
    places: frozenset[Place] = frozenset()
    states: frozenset[State] | None = None
    admins: bool = False
    footer: str = ""

    @property
    def group(self) -> str:
        """The first part of the id: what the action is about."""
        return self.id.split(".")[0]

    @property
    def only_in(self) -> str:
        """The screens that have it, such as `list` or `rules`; empty if the main ones do."""
        return (
            "" if self.places >= {Place.LIST, Place.DETAIL} else ", ".join(one for one in Place if one in self.places)
        )

    @property
    def command_line(self) -> str:
        """`calvinverse env destroy`, or nothing."""
        return " ".join((PROGRAM, *self.command)) if self.command is not None else ""


BOTH = frozenset({Place.LIST, Place.DETAIL})
LIST = frozenset({Place.LIST})
DETAIL = frozenset({Place.DETAIL})
RULES = frozenset({Place.RULES})
POLICIES = frozenset({Place.POLICIES})
CALENDARS = frozenset({Place.CALENDARS})
CHANNELS = frozenset({Place.CHANNELS})
HOLDS = frozenset({Place.HOLDS})
TRIGGERS = frozenset({Place.TRIGGERS})
EVENTS = frozenset({Place.EVENTS})
PREVIEWS = frozenset({Place.PREVIEWS})
EVERYWHERE = frozenset(Place)
LIVING = frozenset(State) - {State.DESTROYED, State.ABANDONED}
NOT_LEAVING = LIVING - {State.DESTROYING, State.DESTROY_FAILED}
