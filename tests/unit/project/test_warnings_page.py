"""The examples of docs/how-to/warnings.md are what the service takes and sends."""

import re
import time
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

from environments.channel_settings import read_channels
from environments.domain.template_parts import Lifetime
from environments.providers.channels.signing import signature_headers
from tests.support.docs_reference import CHECKOUT

PAGE = (CHECKOUT / "docs" / "how-to" / "warnings.md").read_text(encoding="utf-8")
TEMPLATE, CHANNELS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_lifetime_is_one() -> None:
    lifetime = Lifetime.model_validate(tomllib.loads(TEMPLATE)["lifetime"])
    assert lifetime.warn == (timedelta(days=1), timedelta(hours=1))
    assert lifetime.extension == timedelta(days=1)


def test_the_file_of_channels_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "channels.toml").write_text(CHANNELS)
    found = read_channels(tmp_path / "channels.toml")
    assert found.email is not None
    assert found.webhook is not None
    assert found.slack is not None
    assert found.email.recipients("ada") == ("ada@example.net",)
    assert found.email.recipients("grace@example.net") == ("grace@example.net",)
    assert found.email.recipients("linus") == ("platform@example.net",)


def test_the_receiver_takes_what_is_signed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "channels.toml").write_text(CHANNELS)
    webhook = read_channels(tmp_path / "channels.toml").webhook
    assert webhook is not None
    secret, body, now = webhook.secret.get_secret_value(), b'{"type": "environment.warning"}', int(time.time())
    names: dict[str, Any] = {}
    [receiver] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(receiver, names)  # noqa: S102 - the example of the page
    verify, seen = names["verify"], set[str]()
    headers = signature_headers(secret, "warn-1", now, body)
    assert not verify(secret, headers, body + b" ", seen)
    assert not verify(secret, {**headers, "webhook-timestamp": str(now + 1)}, body, seen)
    assert not verify(secret, signature_headers(secret, "warn-1", now - 3600, body), body, seen)
    assert verify(secret, headers, body, seen)
    assert not verify(secret, headers, body, seen), "the same warning once more"
