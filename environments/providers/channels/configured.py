"""The channels that a file configures."""

import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from environments.channel_settings import ChannelSettings, read_channels
from environments.domain.environment import Environment
from environments.domain.errors import InvalidInput
from environments.providers.channels.mail import send_mail
from environments.providers.channels.webhooks import send_slack, send_webhook
from environments.service.channels import Channel, NotDelivered, Target, WarningMessage

log = structlog.get_logger()


class ConfiguredChannels:
    """Implements `environments.service.channels.Channels`. A file that can't be used leaves what was read before."""

    def __init__(self, path: Path) -> None:
        """Raises `InvalidInput` if the file can't be used."""
        self._path = path
        self._guard = threading.Lock()
        self._seen = self._stamp()
        self._settings = read_channels(path)
        self._fault = ""

    def targets(self, environment: Environment, verified: Sequence[str] = ()) -> Sequence[Target]:
        """Who is mailed of this owner's environments, and each webhook."""
        settings = self._current()
        recipients = () if settings.email is None else settings.email.recipients(environment.owner, verified)
        return [*(Target(Channel.EMAIL, recipient) for recipient in recipients), *_webhooks(settings)]

    def test_targets(self) -> Sequence[Target]:
        """Those who are mailed when nobody else is, and each webhook."""
        settings = self._current()
        recipients = () if settings.email is None else settings.email.to
        return [*(Target(Channel.EMAIL, recipient) for recipient in recipients), *_webhooks(settings)]

    def configured(self) -> Sequence[Channel]:
        """The channels of the file."""
        settings = self._current()
        email = [] if settings.email is None else [Channel.EMAIL]
        return [*email, *(target.channel for target in _webhooks(settings))]

    def fault(self) -> str:
        """Why the file, as it is now, can't be used."""
        self._current()
        return self._fault

    def send(self, target: Target, message: WarningMessage) -> None:
        """See `environments.service.channels.Channels`."""
        settings = self._current()
        if target.channel is Channel.EMAIL and settings.email is not None:
            email = settings.email
            named = target.recipient in (*email.recipients(message.owner), *email.to)
            if not named and not email.allows(target.recipient):
                raise NotDelivered("the file of channels doesn't name the recipient any more")
            send_mail(settings.email, target.recipient, message)
        elif target.channel is Channel.WEBHOOK and settings.webhook is not None:
            send_webhook(settings.webhook, message)
        elif target.channel is Channel.SLACK and settings.slack is not None:
            send_slack(settings.slack, message)
        else:
            raise NotDelivered("the channel isn't configured any more")

    def _current(self) -> ChannelSettings:
        with self._guard:
            stamp = self._stamp()
            if stamp != self._seen:
                self._seen = stamp
                try:
                    self._settings, self._fault = read_channels(self._path), ""
                except InvalidInput as error:
                    self._fault = error.message
                    log.error("warnings.channels_refused", reason=error.message)
            return self._settings

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _webhooks(settings: ChannelSettings) -> list[Target]:
    webhook = [] if settings.webhook is None else [Target(Channel.WEBHOOK)]
    return [*webhook, *([] if settings.slack is None else [Target(Channel.SLACK)])]
