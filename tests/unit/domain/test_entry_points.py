"""Host names of entry points, and the domains that they may have."""

import pytest

from environments.domain.entry_points import (
    certificate_names,
    check_entry_domain,
    entry_hosts,
    entry_url,
    shared_parent,
)
from environments.domain.errors import InvalidInput, InvalidName

PAGE = "calvinverse.example.org"


def test_a_service_has_two_names() -> None:
    assert entry_hosts("demo", "web", "apps.example.org") == ("web--demo.apps.example.org", "web.demo.apps.example.org")


def test_a_certificate_has_a_wildcard_and_the_names_that_it_does_not_cover() -> None:
    assert certificate_names("demo", ("api", "web"), "apps.example.org") == (
        "*.demo.apps.example.org",
        "api--demo.apps.example.org",
        "web--demo.apps.example.org",
    )


def test_a_label_has_at_most_63_characters() -> None:
    service = "s" * 57
    assert len(entry_hosts("demo", service, "a.b")[0].partition(".")[0]) == 63
    with pytest.raises(InvalidName) as caught:
        entry_hosts("demos", service, "a.b")
    assert "has 64 characters" in caught.value.message
    assert "at most 4 characters for the environment" in caught.value.hint


def test_a_name_has_at_most_253_characters() -> None:
    domain = ".".join(["d" * 60] * 4)
    assert len(domain) == 243
    assert len(entry_hosts("demo", "a", domain)[0]) == 251
    with pytest.raises(InvalidName) as caught:
        entry_hosts("demo", "abcd", domain)
    assert "has 254 characters" in caught.value.message


@pytest.mark.parametrize("service", ["", "Web", "a--b", "-a", "a.b", "wéb", "*"])
def test_other_names_of_services_are_refused(service: str) -> None:
    with pytest.raises(InvalidName):
        entry_hosts("demo", service, "a.b")


def test_no_name_reads_as_punycode() -> None:
    with pytest.raises(InvalidName) as caught:
        entry_hosts("demo", "xn", "a.b")
    assert "browsers read 'xn--demo' as another name" in caught.value.message


def test_the_port_is_left_out_where_it_is_that_of_https() -> None:
    assert entry_url("web.demo.a.b", 443) == "https://web.demo.a.b"
    assert entry_url("web.demo.a.b", 8443) == "https://web.demo.a.b:8443"


@pytest.mark.parametrize("domain", ["apps.example.org", "apps.example.net", "apps.localhost", "xn--bcher-kva.example"])
def test_a_domain_beside_the_page_is_fine(domain: str) -> None:
    assert check_entry_domain(domain, PAGE) == domain


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        (PAGE, "the address of the service"),
        (f"apps.{PAGE}", "is below"),
        ("example.org", "is below it"),
    ],
)
def test_a_domain_that_would_share_cookies_with_the_page_is_refused(domain: str, why: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_entry_domain(domain, PAGE)
    assert why in caught.value.message


@pytest.mark.parametrize(
    "domain",
    ["", "localhost", "Apps.example.org", "*.example.org", "apps.example.org:8443", "äpfel.de", "10.0.0.1", "a..b"],
)
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(InvalidInput):
        check_entry_domain(domain, PAGE)


def test_the_parent_that_both_share_is_named() -> None:
    assert shared_parent("apps.example.org", PAGE) == "example.org"
    assert shared_parent("apps.example.net", PAGE) == ""
    assert shared_parent("apps.localhost", "calvinverse.localhost") == ""
