"""The pages of a service in this process, over TLS, a provider, and a browser."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

from tests.fakes.identity import MemoryProvider
from tests.fakes.service import FakeService, listening, make_service
from tests.support.authorities import make_authority
from tests.support.browser import Visitor, browser, driver
from tests.support.identity_site import IdentitySite, identity_site


@dataclass
class Site:
    """A service with its pages, and the provider by which people sign in."""

    service: FakeService
    address: str
    provider: MemoryProvider
    identity: IdentitySite


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with driver() as started:
        yield started


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    made = make_service(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def site(service: FakeService, tmp_path: Path) -> Iterator[Site]:
    provider = service.identity.providers[0]
    pem = make_authority("ours").sign(tmp_path / "tls.pem", "127.0.0.1", "localhost")
    with identity_site(provider) as identity, listening(service, tls=pem) as address:
        yield Site(service, address, provider, identity)


@pytest.fixture
def chromium(playwright: Playwright, site: Site) -> Iterator[Browser]:
    """Ends before the site."""
    with browser(playwright) as running:
        yield running


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    made: list[Visitor] = []

    def visit(**options: object) -> Visitor:
        made.append(Visitor(chromium, **options))
        return made[-1]

    yield visit
    for one in made:
        one.close()


@pytest.fixture
def ada(site: Site, visitor: Callable[..., Visitor]) -> Visitor:
    """A browser in which ada is signed in."""
    signed_in = visitor()
    sign_in(signed_in, site)
    return signed_in


def sign_in(visitor: Visitor, site: Site, path: str = "/") -> None:
    """Opens a page, and signs in on the way if it takes that."""
    visitor.page.goto(site.address + path)
    visitor.page.get_by_role("button", name="Sign in with Example Corp").click()
    visitor.page.wait_for_url(lambda url: url.startswith(site.address) and not url.endswith("/sign-in/start"))
