"""Signing in by the pages in a real browser, with the real OpenBao as the provider."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from environments.providers.oidc.configured import ConfiguredProviders
from environments.providers.openbao_people.provide import BuiltIn, connect
from tests.fakes.service import FakeService, listening, make_service
from tests.support.authorities import make_authority
from tests.support.browser import Visitor, browser, driver
from tests.support.cluster import EXTERNAL_ADDRESS, Cluster

CHOSEN = "four words of my own"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Site:
    """A service whose provider is OpenBao, a person there with a password of their own choice, and a browser."""

    service: FakeService
    built_in: BuiltIn
    user: str
    chromium: Browser

    def sign_in(self, visitor: Visitor, password: str = CHOSEN) -> None:
        page = visitor.page
        page.goto(EXTERNAL_ADDRESS)
        page.get_by_role("button", name="Sign in with").click()
        page.get_by_label("User name").fill(self.user)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    built_in = connect(lambda: cluster.agents.connections, EXTERNAL_ADDRESS, _now)
    service = make_service(tmp_path)
    service.authorization_page = built_in.page
    service.sign_in.providers = ConfiguredProviders(None, _now, built_in.identity.current)
    user = f"p{uuid4().hex[:10]}"
    once = built_in.people.create(user, display_name="Ada Lovelace", email="ada@example.net", groups=("ops",)).password
    built_in.page.change_password(user, once, CHOSEN, address="192.0.2.1")
    name = urlsplit(EXTERNAL_ADDRESS)
    pem = make_authority("ours").sign(tmp_path / "tls.pem", name.hostname or "")
    with listening(service, tls=pem, external=EXTERNAL_ADDRESS) as address, driver() as playwright:
        reaches = {name.netloc: urlsplit(address).netloc}
        with browser(playwright, reaches=reaches) as chromium:
            yield Site(service, built_in, user, chromium)
    service.database.close()


@pytest.fixture
def visitor(site: Site) -> Iterator[Callable[[], Visitor]]:
    made: list[Visitor] = []

    def visit() -> Visitor:
        made.append(Visitor(site.chromium))
        return made[-1]

    yield visit
    for one in made:
        one.close()


def test_a_person_of_openbao_comes_in_and_goes(site: Site, visitor: Callable[[], Visitor]) -> None:
    """With groups, which follow at the next sign-in; out again; a used answer is worth nothing; disabled, never in."""
    ada = visitor()
    answers: list[str] = []
    ada.page.on("request", lambda asked: answers.append(asked.url) if "/sign-in/callback?" in asked.url else None)
    site.sign_in(ada)
    expect(ada.page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    expect(ada.page.get_by_text("openbao/ops")).to_be_visible()
    assert ada.page.url == f"{EXTERNAL_ADDRESS}/account"
    ada.page.goto(answers[0])
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("You can't sign in")
    site.built_in.people.set_groups(site.user, ())
    other = visitor()
    site.sign_in(other)
    expect(other.page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    ada.page.goto(EXTERNAL_ADDRESS)
    assert "openbao/ops" not in ada.page.content()
    ada.page.get_by_role("button", name="Sign out").click()
    expect(ada.page.get_by_text("Your provider may still know you")).to_be_visible()
    site.built_in.people.disable(site.user)
    site.sign_in(ada)
    expect(ada.page.get_by_role("alert")).to_contain_text("can't sign in")
    assert ada.complaints == other.complaints == []
