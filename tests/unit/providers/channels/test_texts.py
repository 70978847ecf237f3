"""A warning in the words of each channel."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from environments.providers.channels.texts import document, plain, slack, subject
from environments.service.channels import WarningMessage

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)


def message(owner: str = "ada", reason: str = "") -> WarningMessage:
    return WarningMessage("warn-1", "demo", "env-1", owner, "web", NOW + timedelta(hours=1), NOW, reason=reason)


@pytest.mark.parametrize(
    "named",
    ["<!channel>", "<https://example.net|click here>", "<@U012>", "a\nb", "a\r\nBcc: b@example.org", "a\x1b[2Jb"],
)
def test_what_users_name_stays_text(named: str) -> None:
    for said in (message(owner=named), message(reason=named)):
        text = json.loads(slack(said))["text"]
        assert "<" not in text
        assert text.isprintable()
        mail = plain(said)
        assert mail.count("\n") == plain(message(reason="x" if said.reason else "")).count("\n")
        assert all(line.isprintable() for line in mail.splitlines())
        assert subject(said) == "demo will be destroyed in 1h"
        assert named in json.loads(document(said))["data"].values(), "JSON holds any text"
