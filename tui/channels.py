"""The channels that deliver warnings: what waits, what failed and why, and a test of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from environments.actions.action import Place
from environments.actions.registry import action
from environments.client import Client
from environments.domain.errors import NotFound
from environments.warning_words import delivery
from environments.wire.environments import EnvironmentView
from environments.wire.warnings import ChannelView, WarningView
from environments.words import clean
from tui.channel_test_dialog import ChannelTestDialog
from tui.keys import bindings
from tui.rows import Column
from tui.things import Cell, ThingsScreen

ASKED = 10
"""Environments that are asked for the deliveries of their warnings: those that end soonest."""

_SHOWN = 4
"""Deliveries of the selected channel that are shown."""


@dataclass(frozen=True)
class ChannelRow:
    """A channel, and its last deliveries with the names of their environments, newest first."""

    channel: ChannelView
    deliveries: tuple[tuple[str, WarningView], ...]


class ChannelsScreen(ThingsScreen[ChannelRow]):
    """Lists the channels, for admins."""

    PLACE = Place.CHANNELS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.CHANNELS)
    COLUMNS = (
        Column("channel", "Channel", 12),
        Column("state", "State", 10),
        Column("waiting", "Waiting", 7),
        Column("failing", "Failing", 7),
        Column("why", "Why", 0),
    )

    def __init__(self) -> None:
        super().__init__()
        self._file_fault = ""

    def load(self, client: Client) -> Sequence[ChannelRow]:
        """The channels, and what became of the warnings of environments that end soon."""
        found = client.warning_channels()
        self._file_fault = found.fault
        told = list(_deliveries(client, list(self.shell.known.values()))) if found.channels else []
        told.sort(key=lambda one: one[1].delivered_at or one[1].queued_at, reverse=True)
        return [
            ChannelRow(channel, tuple(one for one in told if one[1].channel == channel.channel))
            for channel in found.channels
        ]

    def heading(self) -> Content:
        """How many there are, and what is wrong with their file."""
        count = f" — {len(self.things)}" if self.things else ""
        title = Content.assemble((f"Channels of warnings{count}", "bold $accent"))
        if not self._file_fault:
            return title
        fault = f"✗ The file of channels can't be used as it is now: {clean(self._file_fault)}"
        return Content("\n").join([title, Content.assemble((fault, "$error"))])

    def key_of(self, thing: ChannelRow) -> str:
        """The channel."""
        return thing.channel.channel

    def cells(self, thing: ChannelRow) -> Sequence[Cell]:
        """What waits, what has failed, and why."""
        channel = thing.channel
        return (
            (channel.channel, "plain"),
            ("configured", "good") if channel.configured else ("removed", "gone"),
            (str(channel.waiting), "plain"),
            (f"✗ {channel.failing}", "bad") if channel.failing else ("0", "plain"),
            (clean(channel.fault).replace("\n", " "), "bad"),
        )

    def in_full(self, thing: ChannelRow) -> Content:
        """The fault, and the last deliveries."""
        channel = thing.channel
        lines = [Content.assemble((channel.channel, "bold"))]
        if channel.fault:
            lines.append(Content.assemble((f"✗ {clean(channel.fault)}", "$error")))
        if not channel.configured:
            lines.append(Content("An operator has removed it: what waits for it isn't delivered."))
        if not thing.deliveries:
            lines.append(Content.assemble(("It has delivered no warning of an environment that lives.", "$faint")))
        for name, warning in thing.deliveries[:_SHOWN]:
            to = f" to {clean(warning.recipient)}" if warning.recipient else ""
            lines.append(Content(f"{name}{to}: {delivery(warning, self.shell.clock.moment)}"))
        if len(thing.deliveries) > _SHOWN:
            lines.append(Content.assemble((f"and {len(thing.deliveries) - _SHOWN} more", "$faint")))
        return Content("\n").join(lines)

    def none_yet(self) -> Content:
        """Who configures channels, and how."""
        return Content.assemble(
            ("No channel is configured: warnings are events alone.\n\n", "bold"),
            "An operator names a file with channels (e-mail, webhook, Slack)\nin the setting ",
            ("CALVINVERSE_WARNING_CHANNELS", "$secondary"),
            " of the service,\nand tries them here with ",
            ("t", "bold $accent"),
            ", or with\n\n",
            ("calvinverse warning test", "$secondary"),
        )

    # --- acting ------------------------------------------------------------------------------------------------------

    def action_warning_test(self) -> None:
        """Asks before it sends."""
        if not self.refuses(action("warning.test")):
            self.shell.push_screen(ChannelTestDialog([row.channel.channel for row in self.things or ()]))


def _deliveries(client: Client, known: Sequence[EnvironmentView]) -> Iterable[tuple[str, WarningView]]:
    warned = [view for view in known if view.warned and view.deadline is not None]
    warned.sort(key=lambda view: (view.deadline, view.id))
    for view in warned[:ASKED]:
        try:
            found = client.environment(view.id)
        except NotFound:
            continue  # it was destroyed meanwhile
        for warning in found.warnings:
            yield view.name, warning
