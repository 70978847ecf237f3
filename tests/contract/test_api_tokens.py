"""A token ends with the one that it was made with, over HTTP, and never may more."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.domain.errors import Forbidden, TooManyRequests, Unauthenticated
from environments.domain.tokens import known_token, secret_hash, secret_prefix
from environments.service import allowances
from environments.service.storage.tokens import TokenRecord
from environments.service.token_lines import LONGEST_LINE
from environments.wire.tokens import NewToken, TokenRequest
from tests.fakes.service import Served, served


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def make(api: Served, token: str, **request: object) -> NewToken:
    """A token made with another one."""
    with api.client(token) as client:
        return client.create_token(TokenRequest.model_validate({"owner": "ada", **request}))


def good(api: Served, token: NewToken) -> bool:
    """Whether the service takes it."""
    with api.client(token.secret) as client:
        try:
            client.info()
        except Unauthenticated:
            return False
    return True


def change(api: Served, token: NewToken, **values: object) -> None:
    """Changes a stored token, and none that was made with it."""
    with api.service.database.write() as tx:
        record = tx.tokens.by_prefix(secret_prefix(token.secret))
        assert record is not None
        tx.tokens.add(record._replace(**values))  # type: ignore[arg-type]


def test_a_token_says_which_one_it_was_made_with(api: Served) -> None:
    parent = make(api, api.token, role="admin")
    child = make(api, parent.secret)
    with api.client() as client:
        shown = {token.id: token.parent_id for token in client.tokens()}
    assert shown[child.token.id] == child.token.parent_id == parent.token.id
    assert shown[parent.token.parent_id or ""] is None


def test_a_token_lives_no_longer_than_the_one_that_it_was_made_with(api: Served) -> None:
    parent = make(api, api.token, role="admin", ttl="1h")
    end = parent.token.expires_at
    assert end is not None
    assert make(api, parent.secret).token.expires_at == end
    assert make(api, parent.secret, ttl="30d").token.expires_at == end
    short = make(api, parent.secret, ttl="1m")
    assert short.token.expires_at is not None
    assert short.token.expires_at < end
    assert make(api, short.secret).token.expires_at == short.token.expires_at
    assert make(api, api.token).token.expires_at is None


def test_a_token_is_revoked_with_the_one_that_it_was_made_with(api: Served) -> None:
    parent = make(api, api.token, role="admin")
    child = make(api, parent.secret, role="admin")
    grandchild = make(api, child.secret, owner="grace")
    other = make(api, api.token)
    early = make(api, parent.secret)
    with api.client() as client:
        moment = client.revoke_token(early.token.id).revoked_at
        client.revoke_token(parent.token.id)
        shown = {token.id: token.revoked_at for token in client.tokens()}
    assert [good(api, token) for token in (parent, child, grandchild, other)] == [False, False, False, True]
    assert shown[grandchild.token.id] == shown[parent.token.id] is not None
    assert shown[early.token.id] == moment
    assert shown[other.token.id] is None


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
def test_a_token_is_no_good_when_only_the_one_far_above_it_has_ended(api: Served, end: str) -> None:
    """Whatever was stored of it: it may have been made in the very moment in which the other one ended."""
    first = make(api, api.token, role="admin")
    second = make(api, first.secret, role="admin")
    third = make(api, second.secret)
    assert good(api, third)
    change(api, first, **{end: datetime.now(UTC) - timedelta(seconds=1)})
    assert not good(api, second)
    assert not good(api, third)
    with pytest.raises(Unauthenticated, match=r"that it was made with has (been revoked|expired)"):
        make(api, third.secret)


def test_a_token_outranks_none_of_those_above_it(api: Served) -> None:
    parent = make(api, api.token, role="admin")
    child = make(api, parent.secret, role="admin")
    with api.client(make(api, api.token).secret) as user, pytest.raises(Forbidden):
        user.create_token(TokenRequest(owner="ada", role="admin"))
    change(api, parent, role="user")
    with api.client(child.secret) as client:
        assert client.info().role == "user"


def test_a_line_of_tokens_has_an_end(api: Served) -> None:
    secret = api.token
    for _ in range(LONGEST_LINE - 1):
        secret = make(api, secret, role="admin").secret
    with pytest.raises(Forbidden, match="created with one another"):
        make(api, secret)
    with api.client(secret) as client:
        assert client.info().role == "admin"


def test_tokens_that_come_from_nowhere_are_as_good_as_ever(api: Served) -> None:
    """Those of an older version have no parent; the deployer's is put in place of the one before."""
    access = api.service.tokens
    access.keep_known(known_token("cv_first-deployer"), "dora")
    child = make(api, "cv_first-deployer")
    access.keep_known(known_token("cv_other-deployer"), "dora")
    assert good(api, child)
    secret, now = "cv_orphan-ab-1", datetime.now(UTC)
    hashed = (secret_prefix(secret), secret_hash(secret))
    orphan = TokenRecord("tok-x", *hashed, "eve", "user", "", now, None, None, None, parent_id="tok-gone")
    with api.service.database.write() as tx:
        tx.tokens.add(orphan)
    with api.client(secret) as client, pytest.raises(Unauthenticated, match="no longer exists"):
        client.info()


def test_a_circle_of_tokens_lets_nobody_in(api: Served) -> None:
    """Nobody can make one; a database that was changed by hand must not hang the service."""
    first = make(api, api.token)
    second = make(api, first.secret)
    change(api, first, parent_id=second.token.id)
    assert not good(api, first)
    assert not good(api, second)
    with api.client() as client, contextlib.suppress(Unauthenticated):
        assert client.revoke_token(second.token.id).revoked_at is not None


def test_an_owner_has_only_so_many_good_tokens(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "MOST_TOKENS", 3)
    mine = make(api, api.token)
    ends = make(api, api.token, ttl="1h")
    unused = make(api, mine.secret)
    assert good(api, ends)
    with pytest.raises(TooManyRequests, match="3 valid tokens") as refusal:
        make(api, mine.secret)  # nor with a token of its own
    assert refusal.value.details["unused"][0] in (mine.token.id, unused.token.id)
    assert "calvinverse token revoke tok-" in refusal.value.hint
    with pytest.raises(TooManyRequests):
        make(api, api.token)
    assert make(api, api.token, owner="grace").token.owner == "grace"
    with api.client(mine.secret) as client:
        client.revoke_token(unused.token.id)
    assert make(api, mine.secret).token.owner == "ada"
    change(api, ends, expires_at=datetime.now(UTC) - timedelta(days=1))
    assert make(api, mine.secret).token.owner == "ada"
