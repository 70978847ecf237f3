"""What `calvinverse doctor` says of a deployment."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.doctor import authority
from jobs.places import Places
from tests.support.authorities import DAY, make_authority

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("ends", "verdict", "said"),
    [
        (3650 * DAY, "ok", "is valid until "),
        (100 * DAY, "warn", "ends on "),
        (-timedelta(hours=1), "bad", "ended on "),
    ],
)
def test_the_end_of_the_authority_is_told(ends: timedelta, verdict: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "service-ca.pem").write_text(make_authority(ends=ends).pem)
    (check,) = authority(Places(tmp_path), NOW)
    assert check.verdict == verdict
    assert said in check.sentence
    assert ("How long authorities last" in check.hint) is (verdict != "ok")


@pytest.mark.parametrize("text", ["", "garbage", "é"])
def test_an_authority_that_can_not_be_read_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "service-ca.pem").write_text(text, encoding="utf-8")
    (check,) = authority(Places(tmp_path), NOW)
    assert (check.verdict, check.sentence) == ("bad", f"{tmp_path}/service-ca.pem can't be read.")


def test_without_a_deployment_nothing_is_told(tmp_path: Path) -> None:
    assert list(authority(Places(tmp_path), NOW)) == []
