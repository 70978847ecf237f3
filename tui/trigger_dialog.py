"""The dialog that shows a trigger: its definition, and what it did."""

from textual.content import Content

from environments.client import Client
from environments.trigger_words import TRIGGERS, stands
from environments.wire.triggers import TriggerDetailsView, TriggerView
from environments.words import one_line
from tui import trigger_sections
from tui.clock import Clock
from tui.details import DetailDialog
from tui.sections import STYLES

_SHOWN = 20
"""Firings that are shown."""


class TriggerDialog(DetailDialog[TriggerDetailsView]):
    """Shows a trigger."""

    def __init__(self, trigger: TriggerView, clock: Clock) -> None:
        super().__init__(f"Trigger {one_line(trigger.name)}", clock)
        self._trigger = trigger

    def has_details(self) -> bool:
        """One of a template isn't stored as a trigger of its own."""
        return not self._trigger.template

    def load(self, client: Client) -> TriggerDetailsView:
        """With what it did last."""
        return client.trigger(self._trigger.id)

    def told(self, found: TriggerDetailsView | None) -> Content:
        """Its state, its definition, and what it did last."""
        one = self._trigger if found is None else found
        sign = TRIGGERS[one.state]
        lines = [
            Content.assemble((str(sign), STYLES[sign.mood]), f"  {one_line(stands(one))}, for {one_line(one.owner)}"),
            Content.assemble((one.id, "$faint")),
        ]
        if one.reason:
            lines.append(Content.assemble((f"✗ {one_line(one.reason)}", "$error")))
        parts = [
            Content("\n").join(lines),
            trigger_sections.section("Definition", trigger_sections.definition(one.definition)),
        ]
        if found is not None:
            did = (
                trigger_sections.firings(found.firings, self.clock, _SHOWN, event=True)
                if found.firings
                else Content.assemble(("Nothing yet.", "$faint"))
            )
            parts.append(trigger_sections.section("What it did last", did))
        return Content("\n\n").join(parts)
