"""Warnings over the API: how they are shown, their channels, and the page behind the link in a warning."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from environments.domain.template import make_bundle
from environments.service.channels import Channel, Target
from environments.wire.tokens import TokenRequest
from tests.fakes.channels import MemoryChannels
from tests.fakes.service import EXTERNAL, WEB, Served, served

MAIL = Target(Channel.EMAIL, "grace@example.net")
HOUR = timedelta(hours=1)


@dataclass
class Setting:
    """A service whose clock a test moves, and what its channels deliver."""

    api: Served
    channels: MemoryChannels
    ahead: timedelta = timedelta(0)

    def warn(self, name: str, **more: object) -> str:
        """Creates an environment, waits until its owner is warned, and gives the path of the link."""
        with self.http() as http:
            http.post("/v1/environments", json={"name": name, "template": "web", **more}).raise_for_status()
        self.tick(timedelta(minutes=55))
        [message] = [message for _, message in self.channels.delivered if message.environment == name]
        assert message.link.startswith(f"{EXTERNAL}/extend?token=")
        parts = urlsplit(message.link)
        return f"{parts.path}?{parts.query}"

    def tick(self, later: timedelta = timedelta(0)) -> None:
        self.ahead += later
        self.api.service.warnings.queue_due()
        self.api.service.warnings.deliver(Channel.EMAIL, 100)

    def http(self, token: str | None = "") -> httpx2.Client:
        token = self.api.token if token == "" else token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=self.api.address, headers=headers, trust_env=False, timeout=60)

    def view(self, name: str) -> dict[str, Any]:
        with self.http() as http:
            found: dict[str, Any] = http.get(f"/v1/environments/{name}").raise_for_status().json()
        return found


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    channels = MemoryChannels(MAIL)
    made: list[Setting] = []

    def clock() -> datetime:
        return datetime.now(UTC) + (made[0].ahead if made else timedelta(0))

    with served(tmp_path, clock=clock, channels=channels) as running:
        made.append(Setting(running, channels))
        yield made[0]


@pytest.fixture
def nobody(setting: Setting) -> Iterator[httpx2.Client]:
    """A browser: it has no token."""
    with setting.http(None) as client:
        yield client


def test_opening_the_link_changes_nothing_and_its_button_extends_once(setting: Setting, nobody: httpx2.Client) -> None:
    path = setting.warn("demo", ttl="1h")
    before = setting.view("demo")
    for _ in range(3):
        page = nobody.get(path)
        assert page.status_code == 200
        assert '<form method="post">' in page.text
        assert nobody.head(path).status_code == 200
    assert setting.view("demo")["deadline"] == before["deadline"]
    done = nobody.post(path)
    assert done.status_code == 200
    assert "demo is extended" in done.text
    after = setting.view("demo")
    assert after["deadline"] > before["deadline"]
    for again in (nobody.post(path), nobody.get(path)):
        assert again.status_code == 410
        assert "used up" in again.text
        assert "<form" not in again.text
    assert setting.view("demo") == after


def test_a_form_of_a_browser_is_taken(setting: Setting, nobody: httpx2.Client) -> None:
    path = setting.warn("demo", ttl="1h")
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "null"}
    assert nobody.post(path, headers=form, content=b"").status_code == 200


def test_a_link_is_void_when_the_deadline_has_moved(setting: Setting, nobody: httpx2.Client) -> None:
    path = setting.warn("demo", ttl="1h")
    with setting.http() as http:
        http.post("/v1/environments/demo/extend", json={"by": "1h"}).raise_for_status()
    moved = setting.view("demo")["deadline"]
    for answer in (nobody.get(path), nobody.post(path)):
        assert answer.status_code == 410
        assert "void" in answer.text
    assert setting.view("demo")["deadline"] == moved


def test_the_page_runs_no_script_and_tells_no_other_site(setting: Setting, nobody: httpx2.Client) -> None:
    page = nobody.get(setting.warn("demo", ttl="1h"))
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "noindex" in page.headers["x-robots-tag"]
    assert "<script" not in page.text
    assert "://" not in page.text
    assert "token=" not in page.text


def test_nothing_writes_the_token_down(
    setting: Setting, nobody: httpx2.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO, logger="environments")
    path = setting.warn("demo", ttl="1h")
    nobody.get(path)
    nobody.post(path)
    token = path.partition("token=")[2]
    with setting.http() as http:
        told = http.get("/v1/environments/demo/events").text + http.get("/metrics").text + str(setting.view("demo"))
    written = capfd.readouterr()
    kept = b"".join(
        file.read_bytes() for file in Path(setting.api.service.database.where).parent.glob("*") if file.is_file()
    )
    for half in token.split("."):
        assert half not in told
        assert half not in caplog.text
        assert half not in written.out + written.err
        assert half.encode() not in kept


@pytest.mark.parametrize("token", ["", "x", "a.b", "A" * 300, "%00", "../../v1", "<script>"])
def test_what_is_no_link_says_so(nobody: httpx2.Client, token: str) -> None:
    for answer in (nobody.get("/extend", params={"token": token}), nobody.post("/extend", params={"token": token})):
        assert answer.status_code == 404
        assert "not valid" in answer.text
        assert "<script>" not in answer.text


def test_guessing_is_limited_and_locks_nobody_out(setting: Setting, nobody: httpx2.Client) -> None:
    path = setting.warn("demo", ttl="1h")
    codes = [nobody.get("/extend", params={"token": f"guess.{number}"}).status_code for number in range(40)]
    assert codes[:30] == [404] * 30
    assert set(codes[30:]) == {429}
    assert nobody.get(path).status_code == 200, "whoever has a link isn't a stranger"


def test_requests_with_one_link_are_limited(setting: Setting, nobody: httpx2.Client) -> None:
    path = setting.warn("demo", ttl="1h")
    assert {nobody.get(path).status_code for _ in range(30)} == {200}
    assert nobody.post(path).status_code == 429


def test_only_these_methods_and_this_path_need_no_token(nobody: httpx2.Client) -> None:
    for path in ("/extend/", "/extend/x", "/v1/extend"):
        assert nobody.get(path).status_code == 401
    assert nobody.delete("/extend").status_code == 405


def test_a_warning_and_its_delivery_are_shown(setting: Setting) -> None:
    setting.channels.faults = {Channel.EMAIL: "the mail server refused: 451 later"}
    with setting.http() as http:
        http.post("/v1/environments", json={"name": "demo", "template": "web", "ttl": "1h"}).raise_for_status()
        before = setting.view("demo")
        moments = http.get("/v1/environments/demo/explain").json()["moments"]
        assert [moment["action"] for moment in moments] == ["warn", "destroy"]
        assert moments[0]["at"] == before["warn_at"]
        assert moments[0]["because"]["source"] == "default"
        setting.tick(timedelta(minutes=55))
        after = setting.view("demo")
        assert (after["warned"], after["warn_at"]) == (True, None)
        event, mail = after["warnings"]
        assert event["channel"] == "event"
        assert event["delivered_at"] is not None
        assert (mail["channel"], mail["recipient"], mail["attempts"]) == (*MAIL, 1)
        assert mail["fault"] == "the mail server refused: 451 later"
        assert mail["next_try"] is not None
        listed = http.get("/v1/environments").json()
        assert [one["warnings"] for one in listed] == [[]]
        channels = http.get("/v1/warnings/channels").raise_for_status().json()
        assert channels == {
            "channels": [
                {"channel": "email", "configured": True, "waiting": 1, "failing": 1, "fault": mail["fault"]},
            ],
            "fault": "",
        }
        metrics = http.get("/metrics").text
    assert 'calvinverse_warnings_waiting{channel="email"} 1.0' in metrics
    assert 'calvinverse_warnings_failing{channel="email"} 1.0' in metrics


def test_a_template_tells_when_it_warns(setting: Setting) -> None:
    text = re.sub(r"\[lifetime\]\n", '[lifetime]\nwarn = ["30m", "10m"]\n', WEB)
    assert text != WEB
    service = setting.api.service
    service.catalogue.push(service.admin, make_bundle({"template.toml": text.encode()}))
    with setting.http() as http:
        http.post("/v1/environments", json={"name": "demo", "template": "web", "ttl": "1h"}).raise_for_status()
        moments = http.get("/v1/environments/demo/explain").json()["moments"]
    assert [moment["action"] for moment in moments] == ["warn", "warn", "destroy"]
    assert [moment["because"]["place"].rpartition(", ")[2] for moment in moments[:2]] == [
        "lifetime.warn[0]",
        "lifetime.warn[1]",
    ]


def test_a_test_warning_goes_to_each_channel(setting: Setting) -> None:
    with setting.http() as http:
        assert http.post("/v1/warnings/test").json() == [{"channel": "email", "recipient": MAIL.recipient, "fault": ""}]
        [(target, message)] = setting.channels.delivered
        assert target == MAIL
        assert message.test
        assert message.link == ""
        setting.channels.faults = {Channel.EMAIL: "no"}
        assert [one["fault"] for one in http.post("/v1/warnings/test").json()] == ["no"]


def test_channels_are_for_admins(setting: Setting) -> None:
    with setting.api.client() as admin:
        user = admin.create_token(TokenRequest(owner="grace")).secret
    with setting.http(user) as http:
        for answer in (http.get("/v1/warnings/channels"), http.post("/v1/warnings/test")):
            assert answer.status_code == 403
    assert setting.channels.attempts == 0
