"""Signing in with a provider of another kind: its pages, ours, and everything between them, in a real browser."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from environments.providers.oidc.provider import OidcProvider
from tests.fakes.service import FakeService, listening
from tests.support.authorities import make_authority
from tests.support.browser import Visitor
from tests.support.oidc_providers import foreign_provider, set_claims, settings_of

Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with foreign_provider(tmp_path_factory.mktemp("provider")) as issuer:
        yield issuer


@pytest.fixture
def address(service: FakeService, issuer: str, tmp_path: Path) -> Iterator[str]:
    settings = settings_of(
        issuer,
        title="Another Corp",
        sign_in=[{"claim": "groups", "value": "staff"}],
        rules=[{"claim": "groups", "value": "ops", "role": "admin"}],
    )
    providers: list[Any] = service.identity.providers
    providers[:] = [OidcProvider(settings, lambda: datetime.now(UTC))]
    pem = make_authority("ours").sign(tmp_path / "tls.pem", "127.0.0.1", "localhost")
    with listening(service, tls=pem) as found:
        yield found


def sign_in(visitor: Visitor, address: str, subject: str) -> None:
    visitor.page.goto(address)
    visitor.page.get_by_role("button", name="Sign in with Another Corp").click()
    visitor.page.locator("input[name=sub]").fill(subject)
    visitor.page.locator("input[name=sub]").press("Enter")
    visitor.page.wait_for_url(lambda url: url.startswith(address))


def test_a_person_signs_in_with_the_role_and_groups_of_their_claims(
    service: FakeService, issuer: str, address: str, visitor: Visit
) -> None:
    set_claims(issuer, "grace-1", name="Grace Hopper", preferred_username="grace", groups=["staff", "ops"])
    browser = visitor()
    sign_in(browser, address, "grace-1")
    expect(browser.page.get_by_role("heading", name="Grace Hopper")).to_be_visible()
    expect(browser.page.get_by_text("corp/ops (claim)")).to_be_visible()
    with service.database.read() as tx:
        person = tx.people.get("grace")
    assert person is not None
    assert (person.issuer, person.subject, person.claim_role) == (issuer, "grace-1", "admin")
    assert browser.complaints == []


def test_whom_no_condition_lets_in_is_told_so(issuer: str, address: str, visitor: Visit) -> None:
    set_claims(issuer, "eve-1", preferred_username="eve", groups=["guests"])
    browser = visitor()
    sign_in(browser, address, "eve-1")
    expect(browser.page.get_by_role("heading", name="You can't sign in")).to_be_visible()
