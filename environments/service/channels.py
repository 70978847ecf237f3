"""What delivers warnings: the port to channels such as e-mail, and the message that they deliver."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from environments.domain.environment import Environment


class Channel(StrEnum):
    """A way to reach somebody."""

    EVENT = "event"
    """An event in the service: written together with the warning, so it is always delivered."""
    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"


class Target(NamedTuple):
    """Whom a channel reaches: `recipient` is an address of e-mail; empty for a channel that has one receiver."""

    channel: Channel
    recipient: str = ""


@dataclass(frozen=True)
class WarningMessage:
    """What a channel delivers. `id` is the same in all attempts: whoever gets it twice can tell.

    `reason` says why the environment is destroyed, in one sentence without a full stop. `link` opens a page with which
    the reader can extend the environment by `extension`; both are empty where there is no such link. `test`: it is sent
    to see whether the channel works, and names no real environment.
    """

    id: str
    environment: str
    environment_id: str
    owner: str
    template: str
    deadline: datetime
    now: datetime
    reason: str = ""
    link: str = ""
    extension: str = ""
    test: bool = False
    notice: str = ""
    """What a trigger tells in place of a warning. Values of strangers may be in it."""


class NotDelivered(Exception):
    """A warning wasn't delivered. The text says why, and holds no secret."""


class Channels(Protocol):
    """The channels that an operator has configured."""

    def targets(self, environment: Environment, verified: Sequence[str] = ()) -> Sequence[Target]:
        """Whom to warn of the end of an environment.

        `verified`: addresses that a provider has verified of its owner, or of the members of the group that owns it.
        """
        ...

    def test_targets(self) -> Sequence[Target]:
        """Where test warnings go: each channel, and those whom it reaches when nobody else is named."""
        ...

    def configured(self) -> Sequence[Channel]:
        """The channels that can deliver."""
        ...

    def fault(self) -> str:
        """What is wrong with the configuration; empty: nothing."""
        ...

    def send(self, target: Target, message: WarningMessage) -> None:
        """Delivers a message within a bounded time. Raises `NotDelivered`."""
        ...


class NoChannels:
    """Nothing is configured: warnings are events alone."""

    def targets(self, environment: Environment, verified: Sequence[str] = ()) -> Sequence[Target]:
        """None."""
        return ()

    def test_targets(self) -> Sequence[Target]:
        """None."""
        return ()

    def configured(self) -> Sequence[Channel]:
        """None."""
        return ()

    def fault(self) -> str:
        """Nothing."""
        return ""

    def send(self, target: Target, message: WarningMessage) -> None:
        """Raises `NotDelivered`."""
        raise NotDelivered("no channel is configured")
