"""Which addresses are called on the word of others."""

import pytest

from environments.providers.backend.outgoing import AddressRule

OWN = "192.0.2.50"
PART = "192.0.2.60"


def rule(*allowed: str) -> AddressRule:
    return AddressRule(frozenset(allowed), lambda: [PART], lambda address: str(address) == OWN)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "0.0.0.0",  # noqa: S104 - nothing listens
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "ff02::1",
        "240.0.0.1",
        "255.255.255.255",
        OWN,
        f"::ffff:{OWN}",
        PART,
        f"::ffff:{PART}",
    ],
)
def test_what_is_near_is_not_called(address: str) -> None:
    assert rule().why_not("forge.example", address, 443)


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.9", "172.16.0.1", "203.0.113.9", "2001:db8::1", "fd12::7"])
def test_what_is_elsewhere_is_called_also_in_private_networks(address: str) -> None:
    assert rule().why_not("forge.example", address, 443) == ""


def test_an_admin_allows_one_address_with_one_port() -> None:
    allowing = rule("127.0.0.1:3000", "[::1]:3000")
    assert allowing.why_not("localhost", "127.0.0.1", 3000) == ""
    assert allowing.why_not("localhost", "::1", 3000) == ""
    assert allowing.why_not("localhost", "127.0.0.1", 3001)
    assert allowing.why_not("localhost", "127.0.0.2", 3000)


def test_an_admin_allows_a_name_for_what_it_resolves_to() -> None:
    allowing = rule("forge.example:443")
    for address in ("127.0.0.1", OWN, PART):
        assert allowing.why_not("Forge.Example.", address, 443) == ""
    assert allowing.why_not("forge.example", "127.0.0.1", 8500)
    assert allowing.why_not("other.example", "127.0.0.1", 443)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.1", "ff02::1", "::ffff:169.254.169.254"])
def test_a_name_that_is_allowed_leads_to_no_metadata(address: str) -> None:
    assert rule("forge.example:80").why_not("forge.example", address, 80)
    assert rule("169.254.169.254:80").why_not("forge.example", "169.254.169.254", 80) == ""
