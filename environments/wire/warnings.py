"""Warnings in the API: how their delivery goes, and the channels."""

from datetime import datetime

from environments.wire.fields import View


class WarningView(View):
    """A warning of an environment's deadline, by one channel to one recipient. All moments are UTC.

    `next_try` None: it was delivered, or isn't delivered any more, and then `fault` says why.
    """

    deadline: datetime
    queued_at: datetime
    channel: str
    recipient: str = ""
    attempts: int
    next_try: datetime | None = None
    delivered_at: datetime | None = None
    fault: str = ""


class ChannelView(View):
    """A channel that delivers warnings. `waiting` warnings aren't delivered yet; `failing` of them have failed once.

    `configured` False: the operator has removed it. `fault` is the newest one of those that wait.
    """

    channel: str
    configured: bool
    waiting: int
    failing: int
    fault: str = ""


class ChannelsView(View):
    """All channels; `fault` says why the file that configures them can't be used as it is now."""

    channels: tuple[ChannelView, ...]
    fault: str = ""


class TestDeliveryView(View):
    """What became of a test warning; `fault` empty: it was delivered."""

    __test__ = False

    channel: str
    recipient: str = ""
    fault: str = ""
