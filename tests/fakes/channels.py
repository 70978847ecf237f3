"""Channels that keep what they deliver."""

from collections.abc import Callable, Sequence

from environments.domain.environment import Environment
from environments.service.channels import Channel, NotDelivered, Target, WarningMessage


class MemoryChannels:
    """Implements `environments.service.channels.Channels`. `faults`: channel → why it delivers nothing."""

    def __init__(self, *targets: Target) -> None:
        self._targets = targets
        self.faults: dict[Channel, str] = {}
        self.delivered: list[tuple[Target, WarningMessage]] = []
        self.attempts = 0
        self.verified: tuple[str, ...] = ()
        """The verified addresses of whose environment was last warned of."""
        self.before: Callable[[], None] = lambda: None
        """Called when an attempt begins."""
        self.after: Callable[[], None] = lambda: None
        """Called when it was delivered."""

    def targets(self, environment: Environment, verified: Sequence[str] = ()) -> Sequence[Target]:
        """Those of every environment."""
        self.verified = tuple(verified)
        return self._targets

    def test_targets(self) -> Sequence[Target]:
        """The same."""
        return self._targets

    def configured(self) -> Sequence[Channel]:
        """Those of the targets."""
        return list(dict.fromkeys(target.channel for target in self._targets))

    def fault(self) -> str:
        """Nothing."""
        return ""

    def send(self, target: Target, message: WarningMessage) -> None:
        """Keeps it. Raises `NotDelivered`."""
        self.attempts += 1
        self.before()
        if target.channel in self.faults:
            raise NotDelivered(self.faults[target.channel])
        self.delivered.append((target, message))
        self.after()
