"""What all pages of one environment share: its head with the tabs, what can be done with it, and notices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from environments.actions.action import Action
from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.domain.errors import NotFound
from environments.domain.lifecycle import State
from environments.ui.answers import page
from environments.ui.asking import Ask, Field
from environments.ui.listing import Button, Section, place
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

PARTS = {
    "environment.update": "update",
    "environment.extend": "extend",
    "environment.schedule": "schedule",
    "environment.pin": "pin",
    "environment.unpin": "unpin",
    "environment.add_rule": "rules/add",
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

NOTICES = {
    "environment.create": "{name} was requested.",
    "environment.update": "{name} is being updated.",
    "plan.apply": "The plan for {name} is being applied.",
    "environment.stop": "{name} will be stopped.",
    "environment.start": "{name} will be started.",
    "environment.retry": "{name} will be tried again.",
    "environment.repair": "{name} is being repaired.",
    "environment.promote": "{name} is being promoted.",
    "environment.rollback": "{name} is being rolled back.",
    "environment.cancel": "Cancellation of {name} was requested.",
    "environment.destroy": "{name} is being destroyed.",
    "environment.abandon": "{name} was abandoned.",
    "environment.extend": "{name} has a new deadline.",
    "environment.schedule": "{name} has a new deadline.",
    "environment.pin": "{name} is pinned.",
    "environment.unpin": "{name} isn't pinned any more.",
    "environment.share": "{name} is shared.",
    "environment.unshare": "The share of {name} has ended.",
    "environment.transfer": "{name} has another owner.",
    "environment.add_rule": "{name} has the rule.",
    "environment.remove_rule": "The rule of {name} is removed.",
    "environment.drift": "{name} was observed just now.",
    "trigger.add": "The trigger stands on {name}. It acts for you.",
}
"""What a page says after an action. The address names the action only: nobody can put words of theirs into a page."""


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
    return place("environments", named, *part.split("/")) if part else place("environments", named)


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
    if view.state is not State.READY or view.awaiting_promotion or view.managed_by is not None:
        return False
    return view.last_good is not None and ("roll_back" in view.may or view.role is None)


def offers(visit: Visit, view: EnvironmentView) -> Iterator[Offer]:
    """Everything that one can do with an environment."""
    for id, part in PARTS.items():
        act = action(id)
        yield Offer(act, path_of(visit, view, part), why_not(act, view))


def buttons(visit: Visit, view: EnvironmentView, *ids: str) -> list[Button]:
    """Links to the pages of some actions."""
    return [
        Button(one.action.title, one.path, one.refused, danger=one.action.risk.value == "destructive")
        for one in offers(visit, view)
        if one.action.id in ids
    ]


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
        notice=NOTICES.get(visit.asked("done"), "").replace("{name}", view.name),
        **values,
    )


def told(
    visit: Visit,
    view: EnvironmentView,
    tab: str,
    title: str,
    sections: Sequence[Section],
    *,
    intro: str = "",
    buttons: Sequence[Button] = (),
    more: str = "",
    status: int = 200,
    **values: Any,
) -> Response:
    """A page of an environment that consists of tables and facts."""
    return environment_page(
        visit,
        view,
        "told.html",
        tab,
        status,
        title=title,
        sections=sections,
        intro=intro,
        buttons=buttons,
        more=more,
        **values,
    )


def asks(
    visit: Visit,
    view: EnvironmentView,
    id: str,
    title: str,
    says: Sequence[str],
    fields: Sequence[Field] = (),
    *,
    button: str = "",
    danger: bool = False,
    sections: Sequence[Section] = (),
    back: str = "",
    look: str = "",
) -> Ask:
    """The page that asks for an action on an environment. The form names the environment by its id, too."""
    return Ask(
        id,
        title,
        says,
        path_of(visit, view, back),
        [Field("id", kind="hidden", value=view.id), *fields],
        button,
        danger,
        sections,
        why_not(action(id), view),
        look,
    )


def meant(visit: Visit) -> EnvironmentView:
    """The environment of a form. Raises `NotFound` if its name is another environment's by now."""
    view = found(visit)
    if visit.typed("id", view.id) != view.id:
        raise NotFound(
            f"{view.name} is another environment by now, and nothing was done.", hint="Look at it before you go on."
        )
    return view
