"""The rules of one environment: those of its own, of its template and of policies, and its pin."""

from collections.abc import Sequence
from datetime import UTC
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from environments.actions.action import Place
from environments.actions.registry import action
from environments.client import Client
from environments.domain.timing import Source, TimedAction
from environments.moments import countdown
from environments.timing_words import WHAT
from environments.wire.environments import EnvironmentView
from environments.wire.timing import RuleRequest, RuleView
from environments.words import Mood, clean
from tui import sections
from tui.acting import ActingScreen
from tui.dialogs import ConfirmDialog
from tui.keys import bindings
from tui.rows import Column
from tui.rule_dialog import RuleDialog
from tui.things import Cell, ThingsScreen

_WHERE = {
    Source.ENVIRONMENT: "its own",
    Source.TEMPLATE: "template",
    Source.OWNER_POLICY: "policy",
    Source.TEMPLATE_POLICY: "policy",
}


class RulesScreen(ThingsScreen[RuleView], ActingScreen):
    """Lists the rules, adds and removes those of its own, and pins the environment."""

    PLACE = Place.RULES
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.RULES)
    COLUMNS = (
        Column("rule", "Rule", 0),
        Column("what", "What", 12),
        Column("next", "Next moment", 25),
        Column("of", "Of", 8),
        Column("by", "Set by", 20, needs=100),
    )

    def __init__(self, view: EnvironmentView) -> None:
        super().__init__()
        self._view = view

    def current(self) -> EnvironmentView:
        """The environment whose rules these are."""
        return self.shell.known.get(self._view.id, self._view)

    # --- showing -----------------------------------------------------------------------------------------------------

    def load(self, client: Client) -> Sequence[RuleView]:
        """Its rules, the next moment first."""
        found = client.rules(self._view.id)
        return sorted(found, key=lambda rule: (rule.next_moment is None, rule.next_moment or rule.since, rule.rule))

    def heading(self) -> Content:
        """Its deadline, the next stop or start, and its pin."""
        view, clock = self.current(), self.shell.clock
        count = f" — {len(self.things)}" if self.things else ""
        lines = [
            [(f"Rules of {view.name}{count}", "bold $accent")],
            sections.deadline(view, clock),
            *sections.switch(view, clock),
            *sections.pin(view, clock),
        ]
        return Content("\n").join([Content.assemble(*line) for line in lines])

    def key_of(self, thing: RuleView) -> str:
        """What it does, when, and where it stands."""
        return f"{thing.action.value} {thing.rule} {thing.because.place}"

    def cells(self, thing: RuleView) -> Sequence[Cell]:
        """The rule, what happens, when next, and where the rule stands."""
        ends = thing.action is TimedAction.DESTROY
        mood: Mood = "plain" if thing.next_moment is not None else "gone"
        when = self.shell.clock.moment(thing.next_moment) if thing.next_moment is not None else "never"
        return (
            (clean(thing.rule), "plain"),
            (WHAT[thing.action], "warn" if ends else "plain"),
            (when, mood),
            (_WHERE.get(thing.because.source, ""), "gone"),
            (clean(thing.because.by), "gone"),
        )

    def in_full(self, thing: RuleView) -> Content:
        """When it happens in both zones, where the rule stands, and how to be rid of it."""
        clock = self.shell.clock
        at = thing.next_moment
        if at is None:
            when = "It has no further moment."
        else:
            left = at - clock.now()
            soon = f", in {countdown(left)}" if left.total_seconds() > 0 else ", due now"
            when = f"It {WHAT[thing.action]} {clock.moment(at)} ({at.astimezone(UTC):%d %b %H:%M} UTC{soon})."
        return Content("\n").join(
            [
                Content.assemble((clean(thing.rule), "bold")),
                Content(when),
                Content(f"{_origin(thing)}Its moments count since {clock.moment(thing.since)}."),
                Content.assemble((_how_to_end(thing), "$faint")),
            ]
        )

    def none_yet(self) -> Content:
        """How to add one."""
        view = self.current()
        return Content.assemble(
            (f"No rule of the calendar applies to {view.name}.\n\n", "bold"),
            "Press ",
            ("a", "bold $accent"),
            " to add one that destroys, stops or starts it,\nor type this in another terminal:\n\n",
            (
                f'calvinverse env rule add {view.name} "0 19 * * 1-5 {self.shell.clock.zone_name()}" --action stop',
                "$secondary",
            ),
        )

    # --- acting ------------------------------------------------------------------------------------------------------

    def state_changed(self) -> None:
        """Asks again when the environment's times have changed."""
        before, self._view = self._view, self.current()
        super().state_changed()
        if _times(before) != _times(self._view):
            self.reload()

    def action_environment_add_rule(self) -> None:
        """Asks for a rule."""
        view = self.target(action("environment.add_rule"))
        if view is not None:
            self.shell.push_screen(RuleDialog(view, self.shell.clock))

    def action_environment_remove_rule(self) -> None:
        """Asks for confirmation, or says why the rule can't be removed here."""
        view = self.target(action("environment.remove_rule"))
        rule = self.selected
        if view is None:
            return
        if rule is None:
            self.shell.say("No rule is selected.", severity="warning")
        elif rule.because.source is not Source.ENVIRONMENT:
            self.shell.say(_how_to_end(rule), severity="warning")
        else:
            request = RuleRequest(action=rule.action, rule=rule.rule)
            self.shell.push_screen(
                ConfirmDialog(
                    f"Remove a rule of {view.name}",
                    "Remove",
                    f"{view.name} won't be {WHAT[rule.action].removeprefix('is ')} by the rule {rule.rule!r} any more. "
                    "Its other rules stay, and its deadline is computed again.",
                    lambda client: client.remove_rule(view.id, request),
                    f"The rule of {view.name} is removed.",
                )
            )


def _origin(rule: RuleView) -> str:
    because = rule.because
    place = f"It stands in {clean(because.place)}. " if because.source is Source.TEMPLATE else ""
    return place + (f"{clean(because.by)} set it. " if because.by else "")


def _how_to_end(rule: RuleView) -> str:
    match rule.because.source:
        case Source.ENVIRONMENT:
            return "D removes it."
        case Source.TEMPLATE:
            return "A rule of the template can't be removed here; K pins the environment, which suspends it."
        case _:
            return (
                f"It stands in the policy for {clean(rule.because.place)}; K pins the environment, which suspends it."
            )


def _times(view: EnvironmentView) -> object:
    return (view.rules, view.deadline, view.pin, view.switch_at, view.state, view.bundle)
