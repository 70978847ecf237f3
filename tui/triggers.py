"""The triggers: those that act for the caller, or those that stand on one environment."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from environments.actions.action import Action, Place
from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.client import Client
from environments.domain.errors import CalvinverseError
from environments.domain.trigger import TriggerAction
from environments.trigger_words import TRIGGERS, stands
from environments.wire.environments import EnvironmentView
from environments.wire.triggers import TriggerDetailsView, TriggerState, TriggerView
from environments.words import Mood, clean, one_line
from tui import trigger_sections
from tui.add_trigger_dialog import AddTriggerDialog
from tui.details import DetailedScreen
from tui.dialogs import ConfirmDialog
from tui.keys import bindings
from tui.rows import Column
from tui.things import Cell, keys_text
from tui.trigger_dialog import TriggerDialog

_SHOWN = 3
"""Firings of the selected trigger that are shown."""


class TriggersScreen(DetailedScreen[TriggerView, TriggerDetailsView]):
    """Lists the triggers that act for the caller; to admins and auditors all."""

    PLACE = Place.TRIGGERS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.TRIGGERS)
    FOLLOWS = True
    COLUMNS = (
        Column("name", "Trigger", 24),
        Column("state", "State", 9),
        Column("on", "On", 16),
        Column("action", "Does", 7),
        Column("stands", "Stands", 0),
        Column("owner", "Acts for", 16, needs=100),
    )

    # --- showing -----------------------------------------------------------------------------------------------------

    def load(self, client: Client) -> Sequence[TriggerView]:
        """Those that the service lists for the caller."""
        return client.triggers()

    def load_details(self, client: Client, thing: TriggerView) -> TriggerDetailsView:
        """With what it did last."""
        return client.trigger(thing.id)

    def has_details(self, thing: TriggerView) -> bool:
        """One of a template isn't stored as a trigger of its own."""
        return not thing.template

    def heading(self) -> Content:
        """How many there are."""
        count = f" — {len(self.things)}" if self.things else ""
        return Content.assemble((f"Triggers{count}", "bold $accent"))

    def key_of(self, thing: TriggerView) -> str:
        """Its id; one of a template stands on several environments."""
        return f"{thing.id} {thing.environment_id or ''}"

    def cells(self, thing: TriggerView) -> Sequence[Cell]:
        """Its name, whether it acts, on what, what it does, and where it stands."""
        sign = TRIGGERS[thing.state]
        mood: Mood = "warn" if thing.action is TriggerAction.DESTROY else "plain"
        return (
            (one_line(thing.name), "plain"),
            (str(sign), sign.mood),
            (thing.on.value, "plain"),
            (thing.action.value, mood),
            (one_line(stands(thing)), "gone"),
            (one_line(thing.owner), "gone"),
        )

    def in_full(self, thing: TriggerView) -> Content:
        """For whom it acts, why it is stopped, and what it did last."""
        clock = self.shell.clock
        by = f" by {one_line(thing.created_by)}" if thing.created_by else ""
        since = f" It was set {clock.moment(thing.created_at)}{by}." if thing.created_at is not None else ""
        who = f"acts for {one_line(thing.owner)}, with the rights that they have when it fires.{since}"
        lines = [Content.assemble((one_line(thing.name), "bold"), f" {who}")]
        if thing.reason:
            lines.append(Content.assemble((f"✗ {one_line(thing.reason)}", "$error")))
        details = self.details(thing)
        if thing.template:
            lines.append(Content.assemble((_of_template(thing), "$faint")))
        elif details is not None and details.firings:
            lines.append(trigger_sections.firings(details.firings, clock, _SHOWN, event=True))
        elif details is not None:
            lines.append(Content.assemble(("It has done nothing yet.", "$faint")))
        return Content("\n").join(lines)

    def none_yet(self) -> Content:
        """What they are, and how to set one."""
        return Content.assemble(
            ("No trigger acts for you.\n\n", "bold"),
            "A trigger turns what happens elsewhere into an action: a pull request that\n"
            "is closed destroys an environment, a job that is done stops it.\n",
            keys_text("F", " shows those of the selected environment, and adds one there."),
            "\nOne that stands alone, such as for previews, is read from a file:\n\n",
            ("calvinverse trigger set FILE", "$secondary"),
        )

    # --- acting ------------------------------------------------------------------------------------------------------

    def action_trigger_add(self) -> None:
        """Says where: one that stands alone needs a file."""
        self.shell.say(
            "F on an environment shows its triggers, and a adds one there. One that stands alone is read from a file: "
            "calvinverse trigger set FILE."
        )

    def action_trigger_show(self) -> None:
        """Shows all of it."""
        trigger = self.chosen(action("trigger.show"), "No trigger is selected.")
        if trigger is not None:
            self.shell.push_screen(TriggerDialog(trigger, self.shell.clock))

    def action_trigger_pause(self) -> None:
        """Asks for confirmation: what happens meanwhile is missed."""
        trigger = self._own("trigger.pause")
        if trigger is None:
            return
        if trigger.state is not TriggerState.ACTIVE:
            self.shell.say(f"{trigger.name} is {trigger.state.value} already.", severity="warning")
            return
        self.shell.push_screen(
            ConfirmDialog(
                f"Pause {clean(trigger.name)}",
                "Pause",
                f"{trigger.name} ({stands(trigger)}) does nothing until it is resumed. What happens meanwhile is not "
                "made up for.",
                lambda client: client.change_trigger(trigger.id, paused=True),
                f"{trigger.name} is paused.",
            )
        )

    def action_trigger_resume(self) -> None:
        """Sends the request without asking: it can be paused again."""
        trigger = self._own("trigger.resume")
        if trigger is None:
            return
        if trigger.state is TriggerState.ACTIVE:
            self.shell.say(f"{trigger.name} acts already.", severity="warning")
            return

        def done(_: TriggerView) -> None:
            self.shell.say(f"{trigger.name} acts again.")
            self.reload()

        def failed(error: CalvinverseError) -> None:
            self.shell.complain(f"{clean(trigger.name)} can't be resumed", error)

        client = self.shell.client
        self.ask(lambda: client().change_trigger(trigger.id, paused=False), done, failed)

    def action_trigger_remove(self) -> None:
        """Asks for confirmation."""
        trigger = self._own("trigger.remove")
        if trigger is not None:
            self.shell.push_screen(
                ConfirmDialog(
                    f"Remove {clean(trigger.name)}",
                    "Remove",
                    f"{trigger.name} ({stands(trigger)}) won't {trigger.action.value} anything on {trigger.on.value} "
                    "any more. What it has begun goes on.",
                    lambda client: client.remove_trigger(trigger.id),
                    f"{trigger.name} is removed.",
                )
            )

    def _own(self, id: str) -> TriggerView | None:
        """The selected one; None, after saying why, also when it stands in a template."""
        trigger = self.chosen(action(id), "No trigger is selected.")
        if trigger is None or not trigger.template:
            return trigger
        self.shell.say(_of_template(trigger), severity="warning")
        return None


class EnvironmentTriggersScreen(TriggersScreen):
    """Lists the triggers that stand on one environment, those of its template first."""

    def __init__(self, view: EnvironmentView) -> None:
        super().__init__()
        self._view = view

    def current(self) -> EnvironmentView:
        """The environment that they stand on."""
        return self.shell.known.get(self._view.id, self._view)

    def why_not(self, act: Action) -> str | None:
        """Also because of the role on the environment."""
        return super().why_not(act) or refusal(act, self.current())

    def load(self, client: Client) -> Sequence[TriggerView]:
        """Those of the environment."""
        return client.environment_triggers(self._view.id)

    def heading(self) -> Content:
        """Whose they are, and how many."""
        count = f" — {len(self.things)}" if self.things else ""
        return Content.assemble((f"Triggers of {self._view.name}{count}", "bold $accent"))

    def none_yet(self) -> Content:
        """How to add one."""
        name = self._view.name
        return Content.assemble(
            (f"No trigger stands on {name}.\n\n", "bold"),
            keys_text("a", " to add one, so that what happens elsewhere stops, destroys\nor extends it, ", "Press "),
            "or type this in another terminal:\n\n",
            (f"calvinverse trigger add {name} done --on nomad.job --kind complete --action destroy", "$secondary"),
        )

    def action_trigger_add(self) -> None:
        """Asks what has to happen, and what is done then."""
        if not self.refuses(action("trigger.add")):
            self.shell.push_screen(AddTriggerDialog(self.current()))


def _of_template(trigger: TriggerView) -> str:
    return (
        f"It stands in the template {one_line(trigger.template)}, for all environments made from it: an admin changes "
        "the template."
    )
