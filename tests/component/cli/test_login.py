"""Signing in and out on the command line: by a browser of this machine, and by a code on a page."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from environments.context import Context, write_context
from environments.service.authorization import Principal
from tests.fakes.service import Served
from tests.support.command_line import CommandLine
from tests.support.token_endpoint import TokenEndpoint


class Browser:
    """A browser in which the provider signs `subject` in at once, or refuses."""

    def __init__(self, api: Served, endpoint: TokenEndpoint) -> None:
        (self._provider,) = api.service.identity.providers
        self._provider.site = endpoint.site
        self._endpoint = endpoint
        self.subject, self.claims = "s-ada", {"preferred_username": "Ada", "groups": ["staff"]}
        self.error = ""
        self.opened: list[str] = []

    def __call__(self, address: str) -> bool:
        self.opened.append(address)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        token = self._provider.identity_token(self.subject, nonce=asked["nonce"], **self.claims)
        self._endpoint.body = json.dumps({"id_token": token}).encode()
        back = {"state": asked["state"], **({"error": self.error} if self.error else {"code": "c-1"})}
        where = asked["redirect_uri"]
        threading.Thread(
            target=lambda: httpx2.get(where, params=back, trust_env=False, timeout=20), daemon=True
        ).start()
        return True


@pytest.fixture
def browser(api: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    endpoint = TokenEndpoint()
    found = Browser(api, endpoint)
    monkeypatch.setattr("environments.cli.login._opened", found)
    monkeypatch.setattr("environments.cli.login._has_browser", lambda: True)
    yield found
    endpoint.close()


@pytest.fixture
def cli(cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line of a machine with the context `default`, whose token is an admin's."""
    for variable in ("CALVINVERSE_ADDRESS", "CALVINVERSE_TOKEN_FILE"):
        monkeypatch.delenv(variable)
    write_context(tmp_path / "state", Context(address=cli.api.address, token_file=tmp_path / "token", name="local"))
    return cli


def test_somebody_signs_in_and_out(cli: CommandLine, browser: Browser, tmp_path: Path) -> None:
    done = cli("login")
    assert (done.status, done.out) == (0, f"You are ada at {cli.api.address}.\n"), done.err
    assert "Next: `calvinverse env list`" in done.err
    kept = list((tmp_path / "state" / "sessions").iterdir())
    assert len(kept) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)
    who = cli("whoami", "-o", "json").json
    assert (who["user_name"], who["kind"], who["role"]) == ("ada", "session", "user")
    assert who["groups"] == [{"name": "corp/staff", "source": "claim"}]
    shown = cli("whoami").out
    assert "corp/staff (claim)" in shown
    assert "limited" not in shown
    (mine,) = [one for one in cli("session", "list", "-o", "json").json if one["current"]]
    assert mine["owner"] == "ada"
    token = (tmp_path / "state" / "sessions" / "default.token").read_text()
    assert token not in done.out + done.err
    out = cli("logout")
    assert (out.status, "signed out" in out.out) == (0, True)
    assert f"the token in {tmp_path / 'token'} again" in out.err
    assert not list((tmp_path / "state" / "sessions").iterdir())
    assert cli("whoami", "-o", "json").json["role"] == "admin"
    assert cli("logout").out == "You aren't signed in here.\n"


def test_a_session_that_has_ended_says_what_to_do(cli: CommandLine, browser: Browser) -> None:
    assert cli("login").status == 0
    assert cli("session", "end", "--all").status == 0
    refused = cli("env", "list")
    assert refused.status == 5
    assert "`calvinverse login`" in refused.err
    assert "`calvinverse logout`" in refused.err
    assert cli("login").status == 0
    assert cli("env", "list").status == 0
    cli("logout")


def test_a_dry_run_shows_claims_and_changes_nothing(cli: CommandLine, browser: Browser, tmp_path: Path) -> None:
    browser.subject, browser.claims = "s-new", {"preferred_username": "new", "groups": ["staff", "ops"]}
    shown = cli("login", "--dry-run")
    assert shown.status == 0, shown.err
    assert "You have never signed in here." in shown.out
    assert re.search(r"groups = .*staff", shown.out)
    assert "Role: user." in shown.out
    assert "Signing in would succeed." in shown.out
    assert not (tmp_path / "state" / "sessions").exists()
    browser.claims = {"preferred_username": "new"}
    assert "the claim did not come" in cli("login", "--dry-run").out


def test_a_refusal_is_told(cli: CommandLine, browser: Browser, tmp_path: Path) -> None:
    browser.error = "access_denied"
    refused = cli("login")
    assert (refused.status, "access_denied" in refused.err) == (5, True)
    assert not (tmp_path / "state" / "sessions").exists()


@pytest.mark.parametrize(
    "site",
    ["file:///etc", "javascript:alert(1)", "http://id.example.net", "", "https://", "https://x:y@id.example.net"],
)
def test_a_service_that_names_an_unsafe_address_is_refused(cli: CommandLine, browser: Browser, site: str) -> None:
    (provider,) = cli.service.identity.providers
    provider.site = site
    provider.issuer, kept = site, provider.issuer
    try:
        refused = cli("login")
    finally:
        provider.issuer = kept
    assert (refused.status, "isn't safe" in refused.err) == (5, True), refused.err
    assert browser.opened == []


def test_a_machine_without_a_browser_is_approved_on_a_page(
    cli: CommandLine, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("login").status == 0  # so that there is a person who can approve
    session = cli("session", "list", "-o", "json").json[0]
    cli("logout")
    grants = cli.service.device_grants
    person = Principal(session["owner"], "user", session["id"], kind="session")
    waits: list[float] = []
    codes: list[str] = []
    begin = grants.begin

    def begun(machine: str, *, address: str) -> object:
        made = begin(machine, address=address)
        codes.append(made.user_code)
        return made

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            grants.decide(person, codes[0], approve=True)

    browser.subject = "s-ada"
    assert cli("login").status == 0
    person = Principal("ada", "user", cli("session", "list", "-o", "json").json[0]["id"], kind="session")
    monkeypatch.setattr(grants, "begin", begun)
    monkeypatch.setattr("environments.cli.login.time.sleep", wait)
    done = cli("login", "--device")
    assert done.status == 0, done.err
    assert done.out == f"You are ada at {cli.api.address}.\n"
    assert "/device" in done.err
    assert len(waits) == 1
    cli("logout")


def test_what_makes_no_sense_is_refused(cli: CommandLine, browser: Browser) -> None:
    assert cli("login", "--token-file", "x").status == 2
    assert cli("login", "--dry-run", "--device").status == 2
    assert cli("login", "--provider", "crop").status == 3
    assert cli("login", "--ca", "x.pem").status == 2
    assert cli("session", "end").status == 2
    assert browser.opened == []


def test_a_new_address_becomes_a_context(
    cli: CommandLine, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "other"))
    assert cli("login").status == 3
    done = cli("login", "--address", cli.api.address)
    assert done.status == 0, done.err
    (found,) = cli("context", "list", "-o", "json").json
    assert (found["address"], found["current"]) == (cli.api.address, True)
    assert cli("whoami", "-o", "json").json["user_name"] == "ada"
    cli("logout")
    refused = cli("env", "list")
    assert refused.status == 5
    assert "calvinverse login" in refused.err
