"""Credentials for states of modules: what is shown comes back as who it was made for, and nothing else does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.errors import Unauthenticated
from environments.service.module_access import (
    SECRET_LABEL,
    Credential,
    StateCaller,
    StateHolder,
    check_credential,
    make_credential,
    reader,
)
from environments.stores.sealing import KeyFileSealer

KEY = b"k" * 32
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
numbers = st.integers(min_value=0, max_value=999_999_999)
deployments = st.from_regex(r"dep-[a-z0-9]{1,12}", fullmatch=True)
holders = st.builds(StateHolder, deployments, names, numbers)
moments = st.datetimes(NOW.replace(tzinfo=None), NOW.replace(year=2100, tzinfo=None), timezones=st.just(UTC))
callers = st.builds(StateCaller, names, names, holders, st.booleans(), numbers) | st.builds(
    reader, names, names, moments
)


@given(callers)
def test_a_credential_says_who_it_was_made_for(caller: StateCaller) -> None:
    shown = make_credential(caller, KEY)
    assert ":" not in shown.username, "basic authentication has no place for it"
    assert shown.username.isascii()
    assert check_credential(caller.environment_id, caller.step, shown, KEY, NOW) == caller


@given(callers, callers)
def test_the_password_of_one_opens_nothing_for_another(one: StateCaller, other: StateCaller) -> None:
    if one == other:
        return
    mixed = Credential(make_credential(other, KEY).username, make_credential(one, KEY).password)
    with pytest.raises(Unauthenticated):
        check_credential(other.environment_id, other.step, mixed, KEY, NOW)
    with pytest.raises(Unauthenticated):
        check_credential(one.environment_id, one.step, make_credential(one, b"x" * 32), KEY, NOW)


@given(moments)
def test_a_credential_for_reading_ends_within_the_hour_and_its_end_is_signed(now: datetime) -> None:
    caller = reader("env-1", "app", now)
    shown = make_credential(caller, KEY)
    assert check_credential("env-1", "app", shown, KEY, now + timedelta(minutes=59)) == caller
    with pytest.raises(Unauthenticated, match="has expired"):
        check_credential("env-1", "app", shown, KEY, now + timedelta(hours=1))
    longer = shown._replace(username=f"read-only.{caller.until + 3600}")
    with pytest.raises(Unauthenticated, match="not valid for this state"):
        check_credential("env-1", "app", longer, KEY, now)
    endless = shown._replace(username="read-only")
    with pytest.raises(Unauthenticated, match="not valid for this state"):
        check_credential("env-1", "app", endless, KEY, now)


@given(st.text(), st.text())
def test_whatever_is_shown_is_refused_in_words(username: str, password: str) -> None:
    with pytest.raises(Unauthenticated):
        check_credential("env-1", "app", Credential(username, password), KEY, NOW)


def test_the_key_of_passwords_follows_from_that_of_the_service(tmp_path: Path) -> None:
    path = tmp_path / "key"
    derived = KeyFileSealer(path).derive(SECRET_LABEL)
    assert len(derived) == 32
    assert KeyFileSealer(path).derive(SECRET_LABEL) == derived, "another process takes what this one made"
    assert KeyFileSealer(path).derive("another label") != derived
    assert KeyFileSealer(tmp_path / "other").derive(SECRET_LABEL) != derived
    assert derived not in path.read_bytes()
