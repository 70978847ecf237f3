"""What a person can do, in one registry: the command line, the TUI's keys, palette and help, and the docs read it.

An action that has a `command` is a command of `calvinverse`; one that has `keys` or places can be done in the TUI.
`refusal` says whether an action fits an environment's present state, so that every front end answers alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from environments.domain.lifecycle import BUSY, ENDED_DEPLOYMENTS, STARTS_FROM, DeploymentKind, State

if TYPE_CHECKING:  # the command line reads this registry to say `--help`, and shouldn't have to wait for pydantic
    from environments.wire.environments import EnvironmentView

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing a person can do.

    `title` names it in menus, `help` is one sentence, `detail` is what the help of a command adds. `command` is the
    path below `calvinverse`; None: only in the TUI. `keys` are Textual's names of keys, the first one is shown; an
    action with `places` and no keys is reached through the palette. `states` None: whatever the environment's state;
    otherwise it needs one environment in one of these states. `footer` is the short word for the TUI's bottom line;
    empty: not there.
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
    footer: str = ""

    @property
    def group(self) -> str:
        """The first part of the id: what the action is about."""
        return self.id.split(".")[0]

    @property
    def command_line(self) -> str:
        """`calvinverse env destroy`, or nothing."""
        return " ".join((PROGRAM, *self.command)) if self.command is not None else ""


_BOTH = frozenset({Place.LIST, Place.DETAIL})
_LIST = frozenset({Place.LIST})
_DETAIL = frozenset({Place.DETAIL})
_LIVING = frozenset(State) - {State.DESTROYED, State.ABANDONED}
_NOT_LEAVING = _LIVING - {State.DESTROYING, State.DESTROY_FAILED}

ACTIONS: tuple[Action, ...] = (
    # --- environments ---
    Action(
        id="environment.list",
        title="List environments",
        help="List environments with their state, owner, age and time left.",
        detail="Shows your own; an admin sees everybody's. Destroyed ones only with --ended.",
        risk=Risk.READ,
        command=("env", "list"),
    ),
    Action(
        id="environment.create",
        title="Create",
        help="Create an environment from a template.",
        detail="The environment is destroyed when its lifetime is over: the template's, or --ttl, or --until.",
        risk=Risk.CHANGE,
        command=("env", "create"),
        keys=("c",),
        places=_BOTH,
        footer="Create",
    ),
    Action(
        id="environment.show",
        title="Describe",
        help="Show one environment: state, deadline, steps, resources, outputs and failure.",
        risk=Risk.READ,
        command=("env", "show"),
        keys=("d", "enter"),
        places=_LIST,
        footer="Describe",
    ),
    Action(
        id="environment.outputs",
        title="Reveal secrets",
        help="Show the outputs of an environment; secret ones are masked until they are revealed.",
        risk=Risk.READ,
        command=("env", "outputs"),
        keys=("v",),
        places=_DETAIL,
        footer="Reveal",
    ),
    Action(
        id="environment.logs",
        title="Logs",
        help="Show what an environment's steps wrote, and follow it.",
        risk=Risk.READ,
        command=("env", "logs"),
        keys=("l",),
        places=_BOTH,
        footer="Logs",
    ),
    Action(
        id="environment.watch",
        title="Watch",
        help="Follow an environment's events until its deployment has ended.",
        risk=Risk.READ,
        command=("env", "watch"),
    ),
    Action(
        id="environment.update",
        title="Update",
        help="Apply the newest version of its template, or other parameters, to an environment.",
        detail="Only what differs is changed; --plan shows what that is.",
        risk=Risk.CHANGE,
        command=("env", "update"),
        keys=("u",),
        places=_BOTH,
        states=STARTS_FROM[DeploymentKind.UPDATE],
    ),
    Action(
        id="environment.extend",
        title="Extend",
        help="Move an environment's deadline by a duration.",
        detail="The template's maximum lifetime counts from creation and can't be exceeded.",
        risk=Risk.CHANGE,
        command=("env", "extend"),
        keys=("e",),
        places=_BOTH,
        states=_NOT_LEAVING,
        footer="Extend",
    ),
    Action(
        id="environment.schedule",
        title="Schedule destruction",
        help="Set when an environment is destroyed: after a duration from now, or at a moment.",
        risk=Risk.CHANGE,
        keys=("s",),
        places=_BOTH,
        states=_NOT_LEAVING,
        footer="Schedule",
    ),
    Action(
        id="environment.retry",
        title="Retry",
        help="Run a failed deployment again; finished steps are kept.",
        risk=Risk.CHANGE,
        command=("env", "retry"),
        keys=("r",),
        places=_BOTH,
        states=frozenset({State.FAILED, State.DESTROY_FAILED}),
    ),
    Action(
        id="environment.drift",
        title="Check for drift",
        help="Show what differs from what an environment's steps made, and what no step made.",
        risk=Risk.READ,
        command=("env", "drift"),
        keys=("i",),
        places=_DETAIL,
    ),
    Action(
        id="environment.repair",
        title="Repair",
        help="Restore what differs from what an environment's steps made; the rest stays untouched.",
        risk=Risk.CHANGE,
        command=("env", "repair"),
        keys=("R",),
        places=_BOTH,
        states=STARTS_FROM[DeploymentKind.REPAIR],
    ),
    Action(
        id="environment.promote",
        title="Promote",
        help="Promote the new version of an environment that awaits promotion; it replaces the old one.",
        detail='Canaries of a step with `promotion = "manual"` run beside the old version until then.',
        risk=Risk.CHANGE,
        command=("env", "promote"),
        keys=("p",),
        places=_BOTH,
        states=STARTS_FROM[DeploymentKind.PROMOTE],
    ),
    Action(
        id="environment.rollback",
        title="Roll back",
        help="Go back to the template version and parameters of the last good deployment, or of another one.",
        risk=Risk.CHANGE,
        command=("env", "rollback"),
        keys=("b",),
        places=_BOTH,
        states=STARTS_FROM[DeploymentKind.UPDATE],
    ),
    Action(
        id="environment.cancel",
        title="Cancel",
        help="Cancel the queued or running deployment; what it has made is kept, and listed.",
        detail="Running steps may finish cleanly; --force stops them at once. A destruction can't be cancelled.",
        risk=Risk.CHANGE,
        command=("env", "cancel"),
        keys=("X",),
        places=_BOTH,
        states=_NOT_LEAVING,
    ),
    Action(
        id="environment.why",
        title="Why it waits",
        help="Explain why an environment's deployment is waiting, and show its position in the queue.",
        risk=Risk.READ,
        command=("env", "why"),
    ),
    Action(
        id="environment.history",
        title="History",
        help="List the deployments of an environment, with the plans that they applied.",
        risk=Risk.READ,
        command=("env", "history"),
    ),
    Action(
        id="environment.destroy",
        title="Destroy",
        help="Destroy an environment now, with everything that belongs to it.",
        detail="Asks for the environment's name, unless --yes is given.",
        risk=Risk.DESTRUCTIVE,
        command=("env", "destroy"),
        keys=("D", "ctrl+d"),
        places=_BOTH,
        states=_LIVING,
        footer="Destroy",
    ),
    Action(
        id="environment.abandon",
        title="Abandon",
        help="Abandon what can't be destroyed: what may be left is recorded, and its name reserved until that is gone.",
        detail="You have to remove by hand what may be left; the service still observes it. Abandon it again to "
        "observe at once.",
        risk=Risk.DESTRUCTIVE,
        command=("env", "abandon"),
        keys=("A",),
        places=_BOTH,
        states=frozenset({State.DESTROY_FAILED, State.ABANDONED}),
    ),
    # --- plans ---
    Action(
        id="plan.show",
        title="Show plan",
        help="Show a saved plan: what it will create, change, replace and destroy, step by step.",
        risk=Risk.READ,
        command=("plan", "show"),
    ),
    Action(
        id="plan.apply",
        title="Apply plan",
        help="Apply a saved plan; it is refused if something has changed since.",
        risk=Risk.CHANGE,
        command=("plan", "apply"),
    ),
    # --- templates ---
    Action(
        id="template.list",
        title="List templates",
        help="List the templates that environments can be made from.",
        risk=Risk.READ,
        command=("template", "list"),
    ),
    Action(
        id="template.show",
        title="Show template",
        help="Show a template: its parameters, lifetime, steps and outputs.",
        risk=Risk.READ,
        command=("template", "show"),
    ),
    Action(
        id="template.validate",
        title="Validate template",
        help="Check a template's folder and name every fault in it.",
        risk=Risk.READ,
        command=("template", "validate"),
    ),
    Action(
        id="template.new",
        title="New template",
        help="Write the folder of a new template to start from.",
        risk=Risk.CHANGE,
        command=("template", "new"),
    ),
    Action(
        id="template.push",
        title="Push template",
        help="Push a template from a folder or from git; new environments use the newest version.",
        risk=Risk.CHANGE,
        command=("template", "push"),
    ),
    Action(
        id="template.delete",
        title="Delete template",
        help="Delete a template, or one version of it, from the catalogue; new environments can't use it.",
        detail="Asks for the template's name, unless --yes is given. Refused while an environment uses it; "
        "what destroying and rolling back need is kept. Admins only.",
        risk=Risk.DESTRUCTIVE,
        command=("template", "delete"),
    ),
    # --- images ---
    Action(
        id="image.list",
        title="List images",
        help="List the images that were built here, with the builds in qa and in production.",
        risk=Risk.READ,
        command=("image", "list"),
    ),
    Action(
        id="image.show",
        title="Show image",
        help="Show a build of an image: inputs, result, validation; without a build also all builds.",
        risk=Risk.READ,
        command=("image", "show"),
    ),
    Action(
        id="image.diff",
        title="Compare images",
        help="Name the packages and inputs that differ between two builds of an image.",
        risk=Risk.READ,
        command=("image", "diff"),
    ),
    Action(
        id="image.promote",
        title="Promote image",
        help="Move production to a validated build of an image, or back.",
        risk=Risk.CHANGE,
        command=("image", "promote"),
    ),
    Action(
        id="image.push",
        title="Push image",
        help="Push a validated build of an image to a registry, and record the digest that it has there.",
        risk=Risk.CHANGE,
        command=("image", "push"),
    ),
    Action(
        id="image.publish",
        title="Publish image",
        help="Publish an image under a name, by digest, for the templates of the service.",
        detail="Admins only.",
        risk=Risk.CHANGE,
        command=("image", "publish"),
    ),
    Action(
        id="image.published",
        title="Published images",
        help="List the images that the service deploys.",
        risk=Risk.READ,
        command=("image", "published"),
    ),
    Action(
        id="image.verify",
        title="Verify image",
        help="Verify the signature of a build of an image, and that nothing was changed since.",
        risk=Risk.READ,
        command=("image", "verify"),
    ),
    Action(
        id="image.sign",
        title="Sign image",
        help="Sign the provenance of a build of an image with the key in OpenBao.",
        risk=Risk.CHANGE,
        command=("image", "sign"),
    ),
    Action(
        id="image.prune",
        title="Prune images",
        help="Remove old images from the Docker engine, never one in use.",
        risk=Risk.CHANGE,
        command=("image", "prune"),
    ),
    # --- tokens ---
    Action(
        id="token.create",
        title="Create token",
        help="Create a token for a person or a machine; it is shown only once.",
        risk=Risk.CHANGE,
        command=("token", "create"),
    ),
    Action(
        id="token.list",
        title="List tokens",
        help="List tokens without their secret part.",
        risk=Risk.READ,
        command=("token", "list"),
    ),
    Action(
        id="token.revoke",
        title="Revoke token",
        help="Revoke a token, at once and for good.",
        risk=Risk.DESTRUCTIVE,
        command=("token", "revoke"),
    ),
    # --- the service and this machine ---
    Action(
        id="worker.list",
        title="List workers",
        help="List the workers that carry out deployments: alive or lost, their slots, and what they run.",
        risk=Risk.READ,
        command=("worker", "list"),
    ),
    Action(
        id="service.ca",
        title="Print the CA",
        help="Print the certificate of the authority that signs environments' certificates.",
        risk=Risk.READ,
        command=("ca",),
    ),
    Action(
        id="service.doctor",
        title="Doctor",
        help="Check this machine and the service, and name what is wrong.",
        risk=Risk.READ,
        command=("doctor",),
    ),
    Action(
        id="service.serve",
        title="Serve",
        help="Run the provisioning service: API, worker and scheduler in one process.",
        risk=Risk.CHANGE,
        command=("serve",),
    ),
    Action(
        id="service.tui",
        title="Terminal UI",
        help="Open the terminal UI.",
        risk=Risk.READ,
        command=("tui",),
    ),
    # --- finding the way in the TUI ---
    Action(
        id="view.filter",
        title="Filter",
        help="Show only environments whose name, state, template or owner holds the text; esc clears it.",
        risk=Risk.READ,
        keys=("slash",),
        places=_LIST,
        footer="Filter",
    ),
    Action(
        id="view.sort",
        title="Sort",
        help="Sort by the next column: name, state, template, owner, age, time left.",
        risk=Risk.READ,
        keys=("o",),
        places=_LIST,
    ),
    Action(
        id="view.reverse",
        title="Reverse the order",
        help="Reverse the order of the sorted column.",
        risk=Risk.READ,
        keys=("O",),
        places=_LIST,
    ),
    Action(
        id="view.ended",
        title="Show ended ones",
        help="Show destroyed and abandoned environments too, or hide them again.",
        risk=Risk.READ,
        keys=("x",),
        places=_LIST,
    ),
    Action(
        id="view.follow",
        title="Follow the log",
        help="Jump to the log's end and follow it; scrolling up pauses.",
        risk=Risk.READ,
        keys=("f",),
        places=_DETAIL,
    ),
    Action(
        id="view.copy",
        title="Copy the address",
        help="Copy the environment's first address to the clipboard of the terminal.",
        risk=Risk.READ,
        keys=("y",),
        places=_DETAIL,
    ),
    Action(
        id="view.reload",
        title="Reload",
        help="Reload from the service at once.",
        risk=Risk.READ,
        keys=("ctrl+r",),
        places=_BOTH,
    ),
    Action(
        id="view.palette",
        title="Palette",
        help="Find any action, or jump to any environment, by typing.",
        risk=Risk.READ,
        keys=("colon", "ctrl+p"),
        places=_BOTH,
    ),
    Action(
        id="view.help",
        title="Help",
        help="Show all keys and what the signs mean.",
        risk=Risk.READ,
        keys=("question_mark",),
        places=_BOTH,
        footer="Help",
    ),
    Action(
        id="view.back",
        title="Back",
        help="Go back, close a dialog, or clear the filter.",
        risk=Risk.READ,
        keys=("escape",),
        places=_BOTH,
        footer="Back",
    ),
    Action(
        id="view.quit",
        title="Quit",
        help="Quit the TUI; whatever runs in the service continues.",
        risk=Risk.READ,
        keys=("q", "ctrl+q"),
        places=_BOTH,
        footer="Quit",
    ),
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


def refusal(action: Action, environment: "EnvironmentView") -> str | None:
    """One sentence that says why this can't be done to the environment now; None when it can."""
    if action.risk is Risk.READ or action.states is None:
        return None
    if environment.managed_by is not None:
        return f"{environment.name} is managed from outside ({environment.managed_by}) and read-only here."
    if environment.state not in action.states:
        state = environment.state.value.replace("_", " ")
        return f"{environment.name} is {state}: {action.title.lower()} isn't possible now."
    if action.id == "environment.promote" and not environment.awaiting_promotion:
        return f"Nothing of {environment.name} awaits promotion."
    if action.id == "environment.rollback":
        return _no_way_back(environment)
    return _nothing_runs(environment) if action.id == "environment.cancel" else None


def _nothing_runs(environment: "EnvironmentView") -> str | None:
    """Why there is nothing to cancel; None when there is, or may be: the state says nothing of an update that waits."""
    newest = environment.deployment
    if environment.state in BUSY or newest is None or newest.state not in ENDED_DEPLOYMENTS:
        return None
    return f"No deployment of {environment.name} is queued or running."


def _no_way_back(environment: "EnvironmentView") -> str | None:
    """Why there is nothing to go back to; None when there is.

    A ready environment is as its last good deployment made it: going further back needs that deployment's id.
    """
    name = environment.name
    if environment.last_good is None:
        return f"{name} was never ready: there is nothing to roll back to."
    if environment.state is State.READY and not environment.awaiting_promotion:
        return (
            f"{name} is as its last good deployment made it; `{PROGRAM} env rollback {name} --to DEPLOYMENT` goes "
            "further back."
        )
    return None
