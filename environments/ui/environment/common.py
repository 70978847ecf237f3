"""What all pages of one environment share: its head with the tabs, what can be done with it, and notices."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from environments.actions.action import Action
from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.domain.errors import NotFound
from environments.domain.lifecycle import State
from environments.ui.answers import page
from environments.ui.visit import Visit
from environments.wire.environments import EnvironmentView

TABS = (
    ("", "Now"),
    ("logs", "Logs"),
    ("history", "History"),
    ("drift", "Drift"),
    ("access", "Access"),
    ("rules", "Calendar"),
    ("triggers", "Triggers"),
    ("audit", "Audit"),
)
"""The pages of an environment: the part of the address behind its name, and the words of the link."""

OFFERED = {
    "environment.update": "update",
    "environment.extend": "extend",
    "environment.schedule": "schedule",
    "environment.pin": "pin",
    "environment.unpin": "unpin",
    "environment.stop": "stop",
    "environment.start": "start",
    "environment.retry": "retry",
    "environment.repair": "repair",
    "environment.promote": "promote",
    "environment.rollback": "rollback",
    "environment.cancel": "cancel",
    "environment.share": "share",
    "environment.unshare": "unshare",
    "environment.transfer": "transfer",
    "environment.destroy": "destroy",
    "environment.abandon": "abandon",
}
"""Action → the part of the address behind the environment's name, in the order of the page."""


@dataclass(frozen=True)
class Offer:
    """An action as a page shows it. `refused` says why it isn't possible; empty: it is."""

    action: Action
    path: str
    refused: str


def found(visit: Visit) -> EnvironmentView:
    """The environment of the page's address. Raises `UnknownEnvironment` also for one that the person may not see."""
    return visit.client.environment(visit.params["name"])


def path_of(visit: Visit, view: EnvironmentView, part: str = "") -> str:
    """The address of a page of this environment; by its id where the page was found by its id."""
    named = view.name if visit.params["name"] == view.name else view.id
    return f"/environments/{named}" + (f"/{part}" if part else "")


def why_not(act: Action, view: EnvironmentView) -> str:
    """Why an action isn't possible now; empty: it is. Here a rollback goes to any deployment that one chooses."""
    said = refusal(act, view) or _nothing_there(act, view)
    if said and act.id == "environment.rollback" and goes_further_back(view):
        return ""
    return said


def _nothing_there(act: Action, view: EnvironmentView) -> str:
    if act.id == "environment.unpin" and view.pin is None:
        return f"{view.name} isn't pinned."
    if act.id == "environment.unshare" and not view.shared:
        return f"{view.name} is shared with nobody."
    return ""


def goes_further_back(view: EnvironmentView) -> bool:
    """Whether only an earlier deployment than the last good one is something to go back to."""
    allowed = "roll_back" in view.may or view.role is None
    return allowed and view.managed_by is None and view.state is State.READY and view.last_good is not None


def offers(visit: Visit, view: EnvironmentView) -> Iterator[Offer]:
    """Everything that one can do with an environment."""
    for id, part in OFFERED.items():
        act = action(id)
        yield Offer(act, path_of(visit, view, part), why_not(act, view))


def environment_page(
    visit: Visit, view: EnvironmentView, template: str, tab: str = "", status: int = 200, **values: Any
) -> Response:
    """A page of an environment: a template that extends `environment/base.html`."""
    return page(
        visit,
        f"environment/{template}",
        status,
        view=view,
        tab=tab,
        tabs=[(path_of(visit, view, part), words, part == tab) for part, words in TABS],
        here=path_of(visit, view),
        notice=notice(visit, view),
        **values,
    )


NOTICES = {
    "stop": "{name} will be stopped.",
    "start": "{name} will be started.",
    "retry": "{name} will be tried again.",
    "repair": "{name} is being repaired.",
    "promote": "{name} is being promoted.",
    "rollback": "{name} is being rolled back.",
    "cancel": "Cancellation of {name} was requested.",
    "destroy": "{name} is being destroyed.",
    "abandon": "{name} was abandoned.",
    "extend": "{name} has a new deadline.",
    "schedule": "{name} has a new deadline.",
    "pin": "{name} is pinned.",
    "unpin": "{name} isn't pinned any more.",
    "share": "{name} is shared.",
    "unshare": "The share of {name} has ended.",
    "transfer": "{name} has another owner.",
    "add-rule": "{name} has the rule.",
    "remove-rule": "The rule of {name} is removed.",
    "observe": "{name} was observed just now.",
    "add-trigger": "The trigger stands on {name}. It acts for you.",
    "change-trigger": "The trigger has changed.",
    "pause-trigger": "The trigger does nothing until it is resumed.",
    "resume-trigger": "The trigger acts again.",
    "remove-trigger": "The trigger is removed.",
    "update": "{name} is being updated.",
    "create": "{name} was requested.",
}
"""What a page says after something was done. The address names it only: nobody can put words of theirs into a page."""


def notice(visit: Visit, view: EnvironmentView) -> str:
    """What was done just now; empty if nothing was."""
    return NOTICES.get(visit.asked("done"), "").replace("{name}", view.name)


def same(visit: Visit, view: EnvironmentView) -> EnvironmentView:
    """The environment of a form's page. Raises `NotFound` if the name is another environment's by now."""
    if visit.typed("id", view.id) != view.id:
        raise NotFound(
            f"{view.name} is another environment by now, and nothing was done.", hint="Look at it before you go on."
        )
    return view
