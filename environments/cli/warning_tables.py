"""Warnings and their channels as tables."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from environments.cli.tables import table
from environments.moments import moment
from environments.warning_words import delivery
from environments.wire.warnings import ChannelsView, TestDeliveryView, WarningView
from environments.words import clean


def channel_lines(view: ChannelsView) -> Iterator[str]:
    """A line for each channel."""
    if not view.channels:
        yield "No channel is configured: warnings are events alone."
        return
    rows = [
        (
            one.channel,
            "configured" if one.configured else "removed",
            str(one.waiting),
            str(one.failing),
            clean(one.fault),
        )
        for one in view.channels
    ]
    yield from table(("CHANNEL", "STATE", "WAITING", "FAILING", "WHY"), rows)


def test_lines(found: Sequence[TestDeliveryView]) -> Iterator[str]:
    """A line for each test warning."""
    if not found:
        yield "No channel is configured: warnings are events alone."
        return
    rows = [(one.channel, one.recipient, f"✗ {clean(one.fault)}" if one.fault else "✓ delivered") for one in found]
    yield from table(("CHANNEL", "TO", ""), rows)


def warning_lines(warnings: Sequence[WarningView], zone: tzinfo) -> Iterator[str]:
    """A line for each warning of an environment's deadline."""
    rows = [
        (moment(one.queued_at, zone), one.channel, one.recipient, delivery(one, lambda at: moment(at, zone)))
        for one in warnings
    ]
    return table(("QUEUED", "CHANNEL", "TO", ""), rows) if rows else iter(())
