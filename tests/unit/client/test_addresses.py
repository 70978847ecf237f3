"""Which address the client takes, and what is wrong with one that it cannot use."""

from pathlib import Path

import pytest

from environments.addresses import check_address
from environments.context import Context, find_context, write_context
from environments.domain.errors import InvalidInput, Unauthenticated


@pytest.mark.parametrize(
    ("address", "said", "hint"),
    [
        ("foo", "it has no scheme", "such as https://foo:8400."),
        ("127.0.0.1:8400", "it has no scheme", "such as http://127.0.0.1:8400."),
        ("localhost:8400/", "it has no scheme", "such as http://localhost:8400/."),
        ("ftp://here:1", "its scheme is 'ftp'", "Give http:// or https://"),
        ("http://", "is not the address", "Give a host and a port"),
        ("http://:8400", "is not the address", "Give a host and a port"),
        ("http://here:port", "is not the address", "Give a host and a port"),
        ("http://here:99999", "is not the address", "Give a host and a port"),
        ("http://here:8400/?a=b", "is not the address", "Give a host and a port"),
        ("http://he re:8400", "is not the address", "Give a host and a port"),
        ("http://[::1:8400", "is not the address", "Give a host and a port"),
    ],
)
def test_what_is_no_address_is_told(address: str, said: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        find_context(address=address, environ={"CALVINVERSE_STATE": "/nonexistent"})
    assert said in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "address", ["https://ada:hunter22@here", "http://cv_hunter22@127.0.0.1:8400", "x://ada:hunter22@y"]
)
def test_an_address_with_a_password_is_refused_without_showing_it(address: str) -> None:
    """The client would send it instead of the token."""
    with pytest.raises(InvalidInput, match="holds no name and no password") as refused:
        check_address(address)
    assert "hunter22" not in f"{refused.value.message}{refused.value.hint}{refused.value.details}"


@pytest.mark.parametrize("address", ["http://127.0.0.1:8400", "https://here/", "http://[::1]:8400", "HTTP://here:1"])
def test_what_is_an_address_stays_as_it_is(address: str) -> None:
    assert check_address(address) == address


def test_a_stored_token_stays_with_its_address_and_that_is_told(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("cv_secret")
    write_context(tmp_path, Context(address="http://one:8400", token_file=token))
    assert "stored_for" not in (tmp_path / "context.json").read_text()
    with pytest.raises(Unauthenticated) as refused:
        find_context(address="https://two:8400", environ={"CALVINVERSE_STATE": str(tmp_path)}).read_token()
    assert refused.value.message == "There is no token for the service at https://two:8400."
    assert "The stored token is for http://one:8400 and is sent nowhere else." in refused.value.hint
    with pytest.raises(Unauthenticated) as refused:
        find_context(environ={"CALVINVERSE_STATE": str(tmp_path / "none")}).read_token()
    assert "calvinverse login" in refused.value.hint
