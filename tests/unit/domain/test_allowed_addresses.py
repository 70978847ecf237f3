"""Exceptions from what the service calls: how an admin writes them."""

import pytest

from environments.domain.allowed_addresses import checked_entry
from environments.domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("127.0.0.1:3000", "127.0.0.1:3000"),
        ("Forge.Example:443", "forge.example:443"),
        ("gitea:3000", "gitea:3000"),
        ("[::1]:80", "[::1]:80"),
        ("[0:0:0:0:0:0:0:1]:80", "[::1]:80"),
    ],
)
def test_an_exception_is_a_host_and_a_port(written: str, kept: str) -> None:
    assert checked_entry(written) == kept


@pytest.mark.parametrize(
    "written",
    [
        "",
        "forge.example",
        "forge.example:0",
        "forge.example:99999",
        ":80",
        "*:80",
        "10.0.0.0/8:80",
        "2130706433:80",
        "a b:80",
        "user@forge.example:80",
        "forge.example:80/x",
        "[fe80::1%eth0]:80",
        "forge.example:80\n",
        "x" * 10_000,
    ],
)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput):
        checked_entry(written)
