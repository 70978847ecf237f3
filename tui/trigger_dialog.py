"""The dialog that shows a trigger: its definition, and what it did."""

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Static

from environments.trigger_words import TRIGGERS, stands
from environments.wire.triggers import FiringView, TriggerDetailsView, TriggerView
from environments.words import one_line
from tui import trigger_sections
from tui.clock import Clock
from tui.dialogs import Dialog
from tui.sections import STYLES

_SHOWN = 20
"""Firings that are shown."""


class TriggerDialog(Dialog):
    """Shows a trigger. It changes nothing."""

    back = "Back (esc)"
    cautious = True

    def __init__(self, trigger: TriggerView, clock: Clock) -> None:
        super().__init__(f"Trigger {one_line(trigger.name)}", "Reload")
        self._trigger = trigger
        self._clock = clock

    def body(self) -> ComposeResult:
        """What is known, and what it did once the service has answered."""
        yield Static(id="told", markup=False)

    def on_mount(self) -> None:
        """Asks what it did; of one of a template nothing more is known."""
        super().on_mount()
        self.query_one("#told", Static).update(self._told(None))
        self.query_one("#go", Button).display = not self._trigger.template
        if not self._trigger.template:
            self.go()

    def go(self) -> None:
        """Asks the service."""

        def done(found: TriggerDetailsView) -> None:
            self.complain(None)
            self._trigger = found
            self.query_one("#told", Static).update(self._told(found.firings))

        client, id = self.shell.client, self._trigger.id
        self.ask(lambda: client().trigger(id), done, self.complain)

    def _told(self, firings: tuple[FiringView, ...] | None) -> Content:
        one = self._trigger
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
        if firings is not None:
            did = (
                trigger_sections.firings(firings, self._clock, _SHOWN, event=True)
                if firings
                else Content.assemble(("Nothing yet.", "$faint"))
            )
            parts.append(trigger_sections.section("What it did last", did))
        return Content("\n\n").join(parts)
