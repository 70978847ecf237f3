"""The policies: rules and maximum lifetimes for all environments of an owner or of a template."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from environments.actions.action import Place
from environments.actions.registry import action
from environments.client import Client
from environments.domain.deadline import format_duration
from environments.timing_words import WHAT
from environments.wire.timing import PolicyView
from environments.words import clean
from tui.keys import bindings
from tui.policy_dialogs import PolicyDialog, RemovePolicyDialog
from tui.rows import Column
from tui.things import Cell, ThingsScreen


class PoliciesScreen(ThingsScreen[PolicyView]):
    """Lists the policies; admins set, change and remove them."""

    PLACE = Place.POLICIES
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.POLICIES)
    COLUMNS = (
        Column("for", "For", 30),
        Column("says", "Says", 0),
        Column("by", "Set by", 16),
        Column("at", "Set at", 25, needs=100),
    )

    def load(self, client: Client) -> Sequence[PolicyView]:
        """Those that the caller may see."""
        return client.policies()

    def heading(self) -> Content:
        """How many there are."""
        count = f" — {len(self.things)}" if self.things else ""
        return Content.assemble((f"Policies{count}", "bold $accent"))

    def key_of(self, thing: PolicyView) -> str:
        """Whom it is for."""
        return f"{thing.scope.value} {thing.name}"

    def cells(self, thing: PolicyView) -> Sequence[Cell]:
        """Whom it is for, what it says in short, and who set it."""
        says = [f"maximum {format_duration(thing.maximum)}"] if thing.maximum is not None else []
        says += [clean(rule.rule) for rule in thing.rules]
        at = self.shell.clock.moment(thing.set_at)
        return (
            (clean(self.key_of(thing)), "plain"),
            (", ".join(says), "plain"),
            (clean(thing.set_by), "gone"),
            (at, "gone"),
        )

    def in_full(self, thing: PolicyView) -> Content:
        """Its maximum and its rules, one per line."""
        clock = self.shell.clock
        lines = [Content.assemble((f"For all environments of {clean(self.key_of(thing))}", "bold"))]
        if thing.maximum is not None:
            lines.append(Content(f"They live for at most {format_duration(thing.maximum)} from their creation."))
        for rule in thing.rules:
            since = f"  since {clock.moment(rule.since)}, by {clean(rule.by)}"
            lines.append(Content.assemble(f"{clean(rule.rule)}: it {WHAT[rule.action]}", (since, "$faint")))
        return Content("\n").join(lines)

    def none_yet(self) -> Content:
        """What they are, and how to set one."""
        zone = self.shell.clock.zone_name()
        return Content.assemble(
            ("There are no policies.\n\n", "bold"),
            "A policy destroys, stops or starts all environments of an owner\n"
            "or of a template at certain times, or limits how long they live.\nPress ",
            ("S", "bold $accent"),
            " to set one (admins only),\nor type this in another terminal:\n\n",
            (f'calvinverse policy set --owner ada --destroy-at "0 19 * * 5 {zone}"', "$secondary"),
        )

    # --- acting ------------------------------------------------------------------------------------------------------

    def action_policy_set(self) -> None:
        """Asks for a policy."""
        if not self.refuses(action("policy.set")):
            self.shell.push_screen(PolicyDialog(self.shell.clock, self.things or ()))

    def action_policy_change(self) -> None:
        """Asks for what the selected policy shall say."""
        policy = self._chosen("policy.change")
        if policy is not None:
            self.shell.push_screen(PolicyDialog(self.shell.clock, self.things or (), policy))

    def action_policy_remove(self) -> None:
        """Shows what the removal moves, and asks."""
        policy = self._chosen("policy.remove")
        if policy is not None:
            self.shell.push_screen(RemovePolicyDialog(self.shell.clock, policy))

    def _chosen(self, id: str) -> PolicyView | None:
        return self.chosen(action(id), "No policy is selected.")
