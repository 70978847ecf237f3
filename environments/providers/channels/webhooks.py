"""Webhooks: signed ones, and those that Slack takes. Redirects aren't followed, and faults never show the address."""

import ssl
from collections.abc import Mapping
from pathlib import Path

import requests

from environments.channel_settings import SlackSettings, WebhookSettings
from environments.providers.backend.bounded import bounded_session, trusting
from environments.providers.channels.signing import signature_headers
from environments.providers.channels.texts import document, slack
from environments.service.channels import NotDelivered, WarningMessage

_LIMIT = 10.0
"""Seconds for one request with its answer."""

_LARGEST = 16 * 1024
"""Bytes of an answer that are read."""


def send_webhook(settings: WebhookSettings, message: WarningMessage) -> None:
    """Sends a signed warning. Raises `NotDelivered`."""
    body = document(message)
    secret = settings.secret.get_secret_value()
    headers = signature_headers(secret, message.id, int(message.now.timestamp()), body)
    _post(settings.url.get_secret_value(), body, headers, settings.ca_file)


def send_slack(settings: SlackSettings, message: WarningMessage) -> None:
    """Sends a warning as Slack takes it. Raises `NotDelivered`."""
    _post(settings.url.get_secret_value(), slack(message), {}, settings.ca_file)


def _post(url: str, body: bytes, headers: Mapping[str, str], ca_file: Path | None) -> None:
    try:
        context = trusting(None if ca_file is None else str(ca_file))
        with bounded_session(context=context, seconds=_LIMIT, largest=_LARGEST, cut=True, keep=1) as session:
            answer = session.post(url, data=body, headers={"Content-Type": "application/json", **headers})
    except requests.Timeout:
        raise NotDelivered(f"no whole answer came within {_LIMIT:g} s") from None
    except requests.exceptions.SSLError:
        raise NotDelivered("its certificate isn't trusted") from None
    except (requests.RequestException, ValueError):
        raise NotDelivered("there is no connection") from None
    except (OSError, ssl.SSLError) as error:
        raise NotDelivered(f"its CA file can't be used: {type(error).__name__}") from None
    if not 200 <= answer.status_code < 300:
        told = "; redirects aren't followed" if 300 <= answer.status_code < 400 else ""
        raise NotDelivered(f"it answered {answer.status_code}{told}")
