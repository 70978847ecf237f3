"""A warning in the words of each channel."""

import json
from dataclasses import replace
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


@pytest.mark.parametrize(
    "written",
    [
        "<!channel>",
        "<https://example.net|click here>",
        "a\r\nBcc: b@example.org",
        "a\x1b[2Jb",
        "\u202egnp.exe",
        "x" * 5000,
    ],
)
def test_a_notice_that_strangers_had_a_part_in_stays_text(written: str) -> None:
    said = replace(message(), notice=f"Pull request: {written}")
    text = json.loads(slack(said))["text"]
    assert "<" not in text
    assert text.isprintable()
    line = subject(said)
    assert line.startswith("demo: Pull request: ")
    assert line.isprintable()
    assert len(line) < 150
    assert all(one.isprintable() for one in plain(said).splitlines())
    whole = json.loads(document(said))
    assert (whole["type"], whole["data"]["message"]) == ("environment.notice", said.notice)
